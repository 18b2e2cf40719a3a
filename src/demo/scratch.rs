//! A directory that is removed with everything in it.

use std::path::{Path, PathBuf};

use base64::Engine as _;

use crate::model::Secret;

pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> std::io::Result<Self> {
        let name = format!("bellwether-demo-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes the secret that signs webhooks, for this demo only.
    pub(super) fn write_secret(&self) -> std::io::Result<(PathBuf, Secret)> {
        let key: [u8; 32] = rand::random();
        let text = format!("whsec_{}", base64::prelude::BASE64_STANDARD.encode(key));
        let path = self.0.join("signing-secret");
        std::fs::write(&path, &text)?;
        Ok((path, Secret::new(text)))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "scratch directory not removed");
        }
    }
}
