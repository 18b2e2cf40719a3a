//! Bellwether's own program and promtool, asked the same way.

use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Program(PathBuf);

pub struct Ran {
    pub is_good: bool,
    pub code: Option<i32>,
    /// Standard output and standard error.
    pub text: String,
    pub output: String,
}

impl Program {
    pub fn ours() -> Self {
        Self(PathBuf::from(env!("CARGO_BIN_EXE_bellwether")))
    }

    /// The system's promtool, and that of Prometheus 3 where one is named.
    #[cfg(feature = "peers")]
    pub fn promtools() -> Vec<Self> {
        [Some(Self("promtool".into())), Self::promtool_3()].into_iter().flatten().collect()
    }

    #[cfg(feature = "peers")]
    pub fn promtool_3() -> Option<Self> {
        std::env::var_os("PROMTOOL3").map(|path| Self(path.into()))
    }

    pub fn name(&self) -> String {
        self.0.display().to_string()
    }

    pub fn run(&self, arguments: &[&str], paths: &[&Path]) -> Ran {
        let output = Command::new(&self.0).args(arguments).args(paths).output();
        let output = output.unwrap_or_else(|error| panic!("{} runs: {error}", self.0.display()));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran {
            is_good: output.status.success(),
            code: output.status.code(),
            text: text(&output.stdout) + &text(&output.stderr),
            output: text(&output.stdout),
        }
    }
}

/// A directory of its own for each test, removed at its end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let name = format!("bellwether-rules-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _is_gone = std::fs::remove_dir_all(&self.0);
    }
}
