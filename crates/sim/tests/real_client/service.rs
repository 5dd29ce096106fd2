//! Devices without faults.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use sim::{Behaviour, Service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;

use crate::testbed::{Testbed, noise, output, stderr, stdout, until, until_async};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_runs_with_its_input_outputs_and_exit_status() {
    let testbed = Testbed::of_one(Behaviour::Normal, Service::Shell).await;
    let mut client = testbed.client("ssh");
    client.args(["bee1", "cat; echo done; echo error >&2; exit 7"]);
    let ran = output(&mut client, b"given\n").await;
    assert_eq!(ran.status.code(), Some(7), "{}", stderr(&ran));
    assert_eq!(stdout(&ran), "given\ndone\n");
    assert_eq!(stderr(&ran), "error\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_ended_by_a_signal_is_a_failure() {
    let testbed = Testbed::of_one(Behaviour::Normal, Service::Shell).await;
    let ran = testbed.ssh(&["bee1", "kill -KILL $$"]).await;
    assert_eq!(ran.status.code(), Some(255), "{}", stderr(&ran));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_killed_with_all_it_started_when_its_client_goes() {
    let testbed = Testbed::of_one(Behaviour::Normal, Service::Shell).await;
    let fifo = testbed.home(1).join("fifo");
    let mut client = testbed.client("ssh");
    client.args([
        "bee1",
        "mkfifo fifo; (echo started; exec sleep 300) > fifo & wait",
    ]);
    let mut child = client.spawn().unwrap();
    until("the command starts", || fifo.exists()).await;
    // The grandchild holds the only writing end: the reader sees the end exactly when the grandchild has
    // died.
    let mut reader = tokio::net::unix::pipe::OpenOptions::new()
        .open_receiver(&fifo)
        .unwrap();
    let mut received = Vec::new();
    until_async("the grandchild speaks", async || {
        reader.read_buf(&mut received).await.unwrap();
        received == b"started\n"
    })
    .await;
    child.kill().await.unwrap();
    until_async("the grandchild ends", async || {
        reader.read_buf(&mut received).await.unwrap() == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_is_shut_down_leaves_no_command_behind() {
    let mut testbed = Testbed::of_one(Behaviour::Normal, Service::Shell).await;
    let noted = testbed.home(1).join("noted");
    let mut client = testbed.client("ssh");
    client.args(["bee1", "echo $$ > noting; mv noting noted; exec sleep 300"]);
    let mut child = client.spawn().unwrap();
    until("the command starts", || noted.exists()).await;
    let process = format!("/proc/{}", fs::read_to_string(&noted).unwrap().trim());
    testbed.devices.remove(0).shutdown().await;
    assert!(
        !std::path::Path::new(&process).exists(),
        "{process} is still there"
    );
    let status = tokio::time::timeout(Duration::from_mins(1), child.wait())
        .await
        .expect("the client ends");
    assert_eq!(status.unwrap().code(), Some(255));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_with_odd_names_are_fetched_renamed_and_removed() {
    let testbed = Testbed::of_one(Behaviour::Normal, Service::Shell).await;
    let odd = OsStr::from_bytes(b"-a b\"$(x)\xff\n.np");
    let picture = noise(100_000);
    fs::write(testbed.home(1).join(odd), &picture).unwrap();
    fs::write(testbed.home(1).join("plain name.np"), b"plain").unwrap();
    let fetched = testbed.folder().join("fetched");
    let batch = format!(
        "ls -la\nget *a?b* {0}\nrename \"plain name.np\" \"moved/it's.np\"\nmkdir moved\n",
        fetched.display()
    );
    let failed = testbed.sftp(&batch).await;
    assert_eq!(
        failed.status.code(),
        Some(1),
        "no folder to move into: {}",
        stderr(&failed)
    );
    assert_eq!(fs::read(&fetched).unwrap(), picture);
    let batch = "mkdir moved\nrename \"plain name.np\" \"moved/it's.np\"\nrm *a?b*\nls -la moved\ndf -h\n";
    let worked = testbed.sftp(batch).await;
    assert!(worked.status.success(), "{}", stderr(&worked));
    assert!(stdout(&worked).contains("it's.np"), "{}", stdout(&worked));
    assert_eq!(fs::read(testbed.home(1).join("moved/it's.np")).unwrap(), b"plain");
    let left: Vec<_> = fs::read_dir(testbed.home(1))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["moved"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_folder_is_listed_whole() {
    let testbed = Testbed::of_one(Behaviour::Normal, Service::Shell).await;
    for number in 0..1000 {
        fs::write(testbed.home(1).join(format!("{number:04}")), b"").unwrap();
    }
    let listed = testbed.sftp("ls -1\n").await;
    assert!(listed.status.success(), "{}", stderr(&listed));
    let names = stdout(&listed);
    let names: Vec<_> = names.lines().filter(|line| line.len() == 4).collect();
    assert_eq!(names.len(), 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_two_mebibytes_come_and_go_through_both_hops_unchanged() {
    let testbed = Testbed::of_one(Behaviour::Normal, Service::Shell).await;
    let picture = noise(32 << 20);
    fs::write(testbed.home(1).join("large"), &picture).unwrap();
    let fetched = testbed.folder().join("fetched");
    let batch = format!("get large {0}\nput {0} returned\n", fetched.display());
    let worked = testbed.sftp(&batch).await;
    assert!(worked.status.success(), "{}", stderr(&worked));
    assert!(fs::read(&fetched).unwrap() == picture, "fetched by sftp");
    assert!(
        fs::read(testbed.home(1).join("returned")).unwrap() == picture,
        "put by sftp"
    );

    let mut client = testbed.client("ssh");
    let echoed = output(client.args(["bee1", "cat"]), &picture).await;
    assert!(
        echoed.stdout == picture,
        "echoed by a command: {} bytes",
        echoed.stdout.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_does_not_block_its_connection() {
    let testbed = Testbed::of_one(Behaviour::Normal, Service::Shell).await;
    let (_master, socket) = master(&testbed).await;
    let mut stuck = testbed.client("ssh");
    stuck
        .arg("-S")
        .arg(&socket)
        .args(["bee1", ": > started; cat /dev/zero"])
        .stdout(std::process::Stdio::piped());
    let _stuck = stuck.spawn().unwrap();
    until("the command starts", || testbed.home(1).join("started").exists()).await;
    for _ in 0..3 {
        let mut quick = testbed.client("ssh");
        quick.arg("-S").arg(&socket).args([
            "bee1",
            "head -c 20000000 /dev/zero | wc -c; head -c 5000000 /dev/zero",
        ]);
        let ran = output(&mut quick, b"").await;
        assert!(ran.status.success(), "{}", stderr(&ran));
        assert_eq!(ran.stdout.len(), "20000000\n".len() + 5_000_000);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_does_not_read_does_not_block_its_connection() {
    let testbed = Testbed::of_one(Behaviour::Normal, Service::Shell).await;
    let (_master, socket) = master(&testbed).await;
    let mut stuck = testbed.client("ssh");
    stuck
        .arg("-S")
        .arg(&socket)
        .args(["bee1", "sleep 300"])
        .stdin(std::process::Stdio::piped());
    let mut stuck = stuck.spawn().unwrap();
    let mut pipe = stuck.stdin.take().unwrap();
    let feeding = async { pipe.write_all(&noise(20_000_000)).await.unwrap() };
    tokio::time::timeout(Duration::from_mins(1), feeding)
        .await
        .expect("the client takes it all");
    let mut quick = testbed.client("ssh");
    quick.arg("-S").arg(&socket).args(["bee1", "echo there"]);
    assert_eq!(stdout(&output(&mut quick, b"").await), "there\n");
}

/// A connection to `bee1` that other clients share through the socket.
async fn master(testbed: &Testbed) -> (Child, PathBuf) {
    let socket = testbed.folder().join("master");
    let mut master = testbed.client("ssh");
    master.arg("-S").arg(&socket).args(["-M", "-N", "bee1"]);
    let master = master.spawn().unwrap();
    until("the master listens", || socket.exists()).await;
    (master, socket)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_connections_at_once_are_served() {
    let testbed = Testbed::new(&[(Behaviour::Normal, Service::Shell); 4]).await;
    let picture = noise(500_000);
    for device in 1..=4 {
        fs::write(testbed.home(device).join("picture"), &picture).unwrap();
    }
    let mut running = Vec::new();
    for number in 0..20 {
        let device = number % 4 + 1;
        let mut client = testbed.client("ssh");
        client.args([&format!("bee{device}"), "cat picture"]);
        running.push(tokio::spawn(async move { output(&mut client, b"").await }));
    }
    for client in running {
        let ran = client.await.unwrap();
        assert!(ran.status.success() && ran.stdout == picture, "{}", stderr(&ran));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_without_a_shell_answers_every_command_with_sftp() {
    let testbed = Testbed::of_one(Behaviour::Normal, Service::SftpOnly).await;
    fs::write(testbed.home(1).join("picture"), b"pixels").unwrap();
    let fetched = testbed.folder().join("fetched");
    let worked = testbed
        .sftp(&format!("get picture {}\n", fetched.display()))
        .await;
    assert!(worked.status.success(), "{}", stderr(&worked));
    assert_eq!(fs::read(fetched).unwrap(), b"pixels");

    // INIT of version 3: the reply to the command is the server's VERSION.
    let mut client = testbed.client("ssh");
    let ran = output(client.args(["bee1", "echo hello"]), &[0, 0, 0, 5, 1, 0, 0, 0, 3]).await;
    assert_eq!(
        ran.stdout.get(4..9),
        Some(&[2, 0, 0, 0, 3][..]),
        "{}",
        stderr(&ran)
    );
}
