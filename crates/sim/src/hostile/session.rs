//! A session of a hostile device: an honest one, except where it misbehaves.

use std::sync::{Arc, OnceLock};

use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, Disconnect};

use super::behaviour::{HostileBehaviour, LoginStep};
use super::{script, sftp};
use crate::device::{DeviceSession, Service, exec};

pub(super) struct HostileSession {
    honest: DeviceSession,
    behaviour: Arc<OnceLock<HostileBehaviour>>,
}

impl HostileSession {
    pub(super) fn new(honest: DeviceSession, behaviour: Arc<OnceLock<HostileBehaviour>>) -> HostileSession {
        HostileSession { honest, behaviour }
    }

    fn odd<T>(&self, thing: impl Fn(&HostileBehaviour) -> Option<T>) -> Option<T> {
        self.behaviour.get().and_then(thing)
    }

    /// Waits indefinitely if the device does not answer this step.
    async fn come_to(&self, step: LoginStep) {
        if self.odd(|odd| odd.mute_at) == Some(step) {
            std::future::pending::<()>().await;
        }
    }
}

impl Handler for HostileSession {
    type Error = russh::Error;

    async fn authentication_banner(&mut self) -> Result<Option<String>, russh::Error> {
        Ok(self.odd(|odd| odd.banner.clone()))
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, russh::Error> {
        self.come_to(LoginStep::Authentication).await;
        self.honest.auth_publickey_offered(user, offer).await
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        self.honest.auth_publickey(user, key).await
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.come_to(LoginStep::Session).await;
        self.honest.channel_open_session(channel, reply, session).await
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let behaviour = self.behaviour.clone();
        match behaviour.get() {
            Some(odd) if odd.greeting.is_some() || odd.files.is_some() => {
                let (odd, home) = (odd.clone(), self.honest.settings.home.clone());
                self.honest
                    .run(id, session, |channel| sftp::serve(channel, home, odd))
            }
            _ => self.honest.subsystem_request(id, name, session).await,
        }
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        if self.odd(|odd| Some(odd.hangs_up_on_commands)) == Some(true) {
            // As ProFTPD's mod_sftp does.
            return session.disconnect(Disconnect::ByApplication, "Application disconnected", "");
        }
        if self.honest.settings.service == Service::SftpOnly {
            return session.channel_failure(id);
        }
        let Some(fault) = self.odd(|odd| odd.script.clone()) else {
            return self.honest.exec_request(id, command, session).await;
        };
        let shell = exec::spawn(Some(command), &self.honest.settings.home)?;
        self.honest
            .run(id, session, |channel| script::serve(channel, shell, fault))
    }

    async fn channel_close(&mut self, id: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        self.honest.channel_close(id, session).await
    }
}
