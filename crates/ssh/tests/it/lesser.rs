//! Devices that report less than others, or print too much.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use engine::ports::device::{DigestRequest, EntryKind, FileFaultKind, Move, Openness, Session, SurveyItem};
use model::{Digest, FailureClass, RelativePath, SourcePath};
use sha2::{Digest as _, Sha256};
use ssh::SshSession;
use testbed::{SFTP_SERVER, wait_until};

use crate::listing::odd_names;
use crate::world::{SOON, World, entries, relative, script, survey};

/// A device that runs commands with another shell than the login's, after some preparation.
fn device_with_shell(world: World, preparation: &str, shell: &str) -> World {
    device_with_settings(world, preparation, shell, "")
}

/// The same, with more lines in its sshd's configuration.
fn device_with_settings(world: World, preparation: &str, shell: &str, settings: &str) -> World {
    let text = format!(
        "{preparation}\ncase \"$SSH_ORIGINAL_COMMAND\" in *sftp-server*) exec {SFTP_SERVER} ;; esac\n\
         exec {shell} -c 'IFS= read -r s && eval \"$(printf %b \"$s\")\"'"
    );
    let wrapper = script(&world, "wrapper", &text);
    world.device("hive", &format!("ForceCommand {}\n{settings}", wrapper.display()))
}

/// A device that has only the tools of `BusyBox`.
fn busybox(shell: &str) -> World {
    let world = World::new();
    let tools = world.path("applets");
    fs::create_dir(&tools).unwrap();
    let applets = "sh cat date dd df echo find grep head id printf sed sha256sum stat tail test true xargs [";
    for applet in applets.split(' ') {
        symlink("/usr/bin/busybox", tools.join(applet)).unwrap();
    }
    device_with_shell(world, &format!("PATH={}\nexport PATH", tools.display()), shell)
}

/// The same, with this script as its `find`. A shell of `BusyBox` may find no tools but its own, nor may
/// programs that start one: so those two are others.
fn busybox_with_find(find: &str) -> World {
    let world = busybox("/usr/bin/dash");
    let find = script(&world, "find", find);
    for (applet, other) in [
        ("sh", Path::new("/usr/bin/dash")),
        ("xargs", Path::new("/usr/bin/xargs")),
        ("find", &find),
    ] {
        let applet = world.path("applets").join(applet);
        fs::remove_file(&applet).unwrap();
        symlink(other, applet).unwrap();
    }
    world
}

/// Every request in the way of a file.
async fn a_file_can_be_gathered(world: &World) {
    let (path, source) = world.source("data");
    fs::create_dir(path.join("folder")).unwrap();
    for name in odd_names() {
        fs::write(path.join("folder").join(name), b"content").unwrap();
    }
    symlink("folder", path.join("link")).unwrap();
    let hive = world
        .connect("hive", std::slice::from_ref(&source))
        .await
        .unwrap();
    assert!(
        hive.facts().disks[0]
            .1
            .is_some_and(|disk| disk.total > disk.available)
    );
    let listed = entries(&hive, &source).await;
    assert_eq!(listed.len(), odd_names().len() + 2);
    assert_eq!(listed[&b"link"[..]].kind, EntryKind::Link);
    assert_eq!(listed[&b"folder"[..]].kind, EntryKind::Folder);
    let moves: Vec<_> = odd_names()
        .iter()
        .map(|name| Move {
            from: relative(Path::new("folder").join(name)),
            to: relative(Path::new(".w/pass/folder").join(name)),
        })
        .collect();
    assert!(
        hive.rename(&source, &moves)
            .await
            .unwrap()
            .iter()
            .all(Result::is_ok)
    );
    let mut paths: Vec<_> = moves.iter().map(|step| step.to.clone()).collect();
    paths.extend(["link", "missing"].map(relative));
    let mut inspected = hive.inspect(&source, &paths).await.unwrap();
    let gone = inspected.pop().unwrap();
    assert_eq!(gone.unwrap_err().kind, FileFaultKind::Missing);
    assert_eq!(
        inspected.pop().unwrap().unwrap_err().kind,
        FileFaultKind::NotAFile
    );
    for (step, inspected) in moves.iter().zip(inspected) {
        let before = listed[step.from.as_bytes()].identity;
        let after = inspected.unwrap().identity;
        // The same in both, whichever tool reported it.
        assert!(before.is_renamed(&after), "{before:?} {after:?}");
        assert_eq!(before.changed.is_some(), after.changed.is_some());
    }
    digests_are_right(&hive, &source, &paths[..moves.len()]).await;
    paths.truncate(moves.len());
    assert!(
        hive.remove(&source, &paths, &[])
            .await
            .unwrap()
            .iter()
            .all(Result::is_ok)
    );
    let missing = SourcePath::new("/no/such/folder").unwrap();
    assert_eq!(
        survey(&hive, &missing).await.unwrap_err().class,
        FailureClass::SourceMissing
    );
    hive.session.close().await;
}

async fn digests_are_right(hive: &SshSession, source: &SourcePath, paths: &[RelativePath]) {
    if !hive.abilities().digests {
        return;
    }
    let whole = |path: &RelativePath| DigestRequest {
        path: path.clone(),
        offset: 0,
        length: None,
    };
    let requests: Vec<_> = paths.iter().map(whole).collect();
    let expected = Some(Digest::from_bytes(Sha256::digest(b"content").into()));
    assert_eq!(
        hive.digest(source, &requests).await.unwrap(),
        vec![expected; paths.len()]
    );
}

#[tokio::test]
async fn the_script_runs_in_dash_and_in_bash() {
    for shell in ["dash", "bash", "bash --posix"] {
        let world = device_with_shell(World::new(), "", shell);
        a_file_can_be_gathered(&world).await;
        let hive = world.connect("hive", &[]).await.unwrap();
        assert_eq!(hive.abilities().shortcomings(), Vec::<&str>::new(), "{shell}");
    }
}

#[tokio::test]
async fn a_device_with_nothing_but_busybox_is_served() {
    let world = busybox("/usr/bin/busybox sh");
    a_file_can_be_gathered(&world).await;
    let (path, source) = world.source("more");
    fs::write(path.join("open"), b"").unwrap();
    fs::write(path.join("closed"), b"").unwrap();
    let _writer = fs::OpenOptions::new()
        .write(true)
        .open(path.join("open"))
        .unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    let abilities = hive.abilities();
    assert!(
        !abilities.complete_identities
            && abilities.digests
            && abilities.tells_time
            && abilities.renames_atomically,
        "{abilities:?}"
    );
    let listed = entries(&hive, &source).await;
    assert_eq!(listed[&b"open"[..]].openness, Openness::Open);
    // Whether it is known to be closed depends on which logins this machine lets inspect its first process.
    assert_ne!(listed[&b"closed"[..]].openness, Openness::Open);
    let identity = listed[&b"open"[..]].identity;
    assert!(identity.inode.is_none() && identity.modified.subsecond_nanoseconds() == 0);
}

#[tokio::test]
async fn busybox_too_reports_a_folder_that_a_disk_cannot_read() {
    // A find that lists all, and prints an error as that of BusyBox does for a failing disk.
    let complaint = "/usr/bin/busybox find \"$@\" || exit
        case $* in *stat*) echo 'find: ./bad folder: Input/output error' >&2; exit 1 ;; esac";
    let world = busybox_with_find(complaint);
    let (path, source) = world.source("data");
    fs::create_dir(path.join("bad folder")).unwrap();
    fs::write(path.join("a"), b"").unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    assert!(!hive.abilities().complete_identities);
    let items = survey(&hive, &source).await.unwrap();
    assert_eq!(items.len(), 3, "{items:?}");
    assert!(
        items.contains(&SurveyItem::Unlistable(relative("bad folder"))),
        "{items:?}"
    );
}

#[tokio::test]
async fn a_folder_removed_while_busybox_lists_it_is_no_fault() {
    // A find that lists folders, and runs its command for one that was removed meanwhile.
    let removal = "case $* in
        *'-type d'*) /usr/bin/busybox rmdir going; exec sh -c \"$9\" \"${10}\" ./going ;;
        esac
        exec /usr/bin/busybox find \"$@\"";
    let world = busybox_with_find(removal);
    let (path, source) = world.source("data");
    fs::create_dir(path.join("going")).unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    assert!(!hive.abilities().complete_identities);
    let items = survey(&hive, &source).await.unwrap();
    assert!(!path.join("going").exists());
    assert!(
        items
            .iter()
            .all(|item| !matches!(item, SurveyItem::Unlistable(_))),
        "{items:?}"
    );
}

#[tokio::test]
async fn a_device_that_speaks_only_sftp_is_served() {
    for force in [
        "ForceCommand internal-sftp",
        "ForceCommand internal-sftp\nMaxSessions 1",
    ] {
        let world = World::new().device("hive", force);
        a_file_can_be_gathered(&world).await;
        let hive = world.connect("hive", &[]).await.unwrap();
        let abilities = hive.abilities();
        assert!(!abilities.digests && !abilities.tells_time, "{abilities:?}");
        assert!(
            !abilities.complete_identities && abilities.renames_atomically,
            "{abilities:?}"
        );
    }
}

#[tokio::test]
async fn a_device_that_permits_one_session_a_connection_is_asked_over_several() {
    let world = World::new().device("hive", "MaxSessions 1");
    a_file_can_be_gathered(&world).await;
    let hive = world.connect("hive", &[]).await.unwrap();
    assert_eq!(hive.abilities().shortcomings(), Vec::<&str>::new());
    hive.session.close().await;
    assert!(wait_until(SOON, || world.ssh_processes().is_empty()));
}

#[tokio::test]
async fn a_device_that_permits_two_sessions_answers_one_at_a_time() {
    let world = World::new().device("hive", "MaxSessions 2");
    let (path, source) = world.source("data");
    fs::write(path.join("a"), b"").unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    let a = [relative("a")];
    let requests = [DigestRequest {
        path: relative("a"),
        offset: 0,
        length: None,
    }];
    let (listed, inspected, digests, more) = tokio::join!(
        entries(&hive, &source),
        hive.inspect(&source, &a),
        hive.digest(&source, &requests),
        hive.digest(&source, &requests)
    );
    assert_eq!(listed.len(), 1);
    assert!(inspected.unwrap()[0].is_ok() && digests.unwrap()[0].is_some() && more.unwrap()[0].is_some());
}

#[tokio::test]
async fn a_device_with_two_sessions_and_no_listing_answers_over_its_only_one() {
    let world = World::new();
    let tools = world.path("tools");
    fs::create_dir(&tools).unwrap();
    fs::rename(script(&world, "find", "exit 1"), tools.join("find")).unwrap();
    let preparation = format!("PATH={}:$PATH\nexport PATH", tools.display());
    let world = device_with_settings(world, &preparation, "sh", "MaxSessions 2");
    a_file_can_be_gathered(&world).await;
}

#[tokio::test]
async fn text_that_start_up_files_print_is_skipped() {
    let noise = "case \"$SSH_ORIGINAL_COMMAND\" in *sftp-server*) ;; *) echo 'Welcome to hive 7'; printf 'no line end'; \
                 echo trouble >&2; i=0; while [ $i -lt 500 ]; do echo 0123456789abcdef0123456789abcdef; i=$((i + 1)); done ;; esac";
    let world = device_with_shell(World::new(), noise, "dash");
    let hive = world.connect("hive", &[]).await.unwrap();
    assert_eq!(hive.abilities().shortcomings(), Vec::<&str>::new());
}

#[tokio::test]
async fn a_shell_that_hangs_echoes_or_never_stops_is_not_used() {
    for shell in ["yes", "sleep 60 #", "cat #", "false"] {
        let mut world = device_with_shell(World::new(), "", &format!("{shell};"));
        world.connect_timeout = std::time::Duration::from_secs(2);
        let (path, source) = world.source("data");
        fs::write(path.join("a"), b"").unwrap();
        let hive = world.connect("hive", &[]).await.unwrap();
        assert!(!hive.abilities().digests, "{shell}");
        assert_eq!(
            entries(&hive, &source).await[&b"a"[..]].openness,
            Openness::Unknown
        );
    }
}
