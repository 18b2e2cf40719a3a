//! Reading rule files and files of their tests, for the commands that look at them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// What the YAML reader takes at most, and one byte more, so that it can say so.
const BYTES_MAX: u64 = (4 << 20) + 1;

/// Reads a file; `-` is standard input. The failure says which file.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().take(BYTES_MAX).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text))
    };
    match read {
        Ok(_) => Ok(text),
        Err(error) => Err(format!("`{}` cannot be read: {error}", path.display())),
    }
}
