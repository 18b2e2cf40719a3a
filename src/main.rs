//! The binary: hands the command line to `bellwether::cli`.

/// Thousands of short exchanges a second over several threads: glibc's arenas keep twice what they
/// hold. Huge pages are left out, since they hold on to more still.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    bellwether::cli::main()
}
