//! Running a program: no shell, an environment of our choosing, and no process left behind that ran
//! out of time.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::release::OUTPUT_MAX;

/// After the program ended, whoever it left behind may still hold its output: waited for so long.
const GRACE: Duration = Duration::from_millis(200);

/// Kills the program and all it started in its group, unless it ended.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.take() {
            // It may have ended meanwhile, and is not reaped before its status is read.
            let _was_running = kill_process_group(group, Signal::KILL).is_ok();
        }
    }
}

/// Runs it. Returns the end of its output, or why it failed and that. Whoever drops the future kills
/// the program.
pub(super) async fn run(
    argv: &[String],
    environment: &[(String, String)],
) -> Result<String, String> {
    let (program, arguments) = argv.split_first().ok_or("there is no program to run")?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear();
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    let mut child =
        command.spawn().map_err(|error| format!("`{program}` cannot be run: {error}"))?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let mut group = Group(pid);
    let ended = watch(&mut child).await;
    // Its number may soon be somebody else's.
    group.0 = None;
    let (status, output) = ended.map_err(|error| format!("`{program}`: {error}"))?;
    if status.success() { Ok(output) } else { Err(format!("`{program}`: {status}: {output}")) }
}

async fn watch(child: &mut Child) -> std::io::Result<(ExitStatus, String)> {
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let (mut out, mut err) = ([0; 4096], [0; 4096]);
    let mut output = Vec::new();
    let mut ended: Option<(ExitStatus, Instant)> = None;
    while ended.is_none() || stdout.is_some() || stderr.is_some() {
        let grace = ended.map(|(_, until)| until);
        tokio::select! {
            status = child.wait(), if ended.is_none() => {
                ended = Some((status?, Instant::now() + GRACE));
            }
            count = read(&mut stdout, &mut out) => match count {
                0 => stdout = None,
                count => keep(&mut output, &out[..count]),
            },
            count = read(&mut stderr, &mut err) => match count {
                0 => stderr = None,
                count => keep(&mut output, &err[..count]),
            },
            () = rest(grace) => break,
        }
    }
    let status = match ended {
        Some((status, _)) => status,
        None => child.wait().await?,
    };
    Ok((status, String::from_utf8_lossy(&output).trim().to_owned()))
}

/// Reads, or waits for ever where nothing is left to read.
async fn read(pipe: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> usize {
    match pipe {
        Some(pipe) => pipe.read(buffer).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

async fn rest(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// Keeps the end, where programs say what went wrong.
fn keep(output: &mut Vec<u8>, bytes: &[u8]) {
    output.extend_from_slice(bytes);
    let over = output.len().saturating_sub(OUTPUT_MAX);
    output.drain(..over);
}
