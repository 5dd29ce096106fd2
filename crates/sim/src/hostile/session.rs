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

    fn setting<T>(&self, read: impl Fn(&HostileBehaviour) -> Option<T>) -> Option<T> {
        self.behaviour.get().and_then(read)
    }

    /// Waits indefinitely if the device does not answer this step.
    async fn stall_at(&self, step: LoginStep) {
        if self.setting(|behaviour| behaviour.mute_at) == Some(step) {
            std::future::pending::<()>().await;
        }
    }
}

impl Handler for HostileSession {
    type Error = russh::Error;

    async fn authentication_banner(&mut self) -> Result<Option<String>, russh::Error> {
        Ok(self.setting(|behaviour| behaviour.banner.clone()))
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, russh::Error> {
        self.stall_at(LoginStep::Authentication).await;
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
        self.stall_at(LoginStep::Session).await;
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
            Some(behaviour) if behaviour.greeting.is_some() || behaviour.files.is_some() => {
                let (behaviour, home) = (behaviour.clone(), self.honest.settings.home.clone());
                self.honest
                    .run(id, session, |channel| sftp::serve(channel, home, behaviour))
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
        if self.setting(|behaviour| Some(behaviour.hangs_up_on_commands)) == Some(true) {
            // As ProFTPD's mod_sftp does.
            return session.disconnect(Disconnect::ByApplication, "Application disconnected", "");
        }
        if self.honest.settings.service == Service::SftpOnly {
            return session.channel_failure(id);
        }
        let Some(fault) = self.setting(|behaviour| behaviour.script.clone()) else {
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
