//! The binary: hands the command line to `bellwether::cli`.

fn main() -> std::process::ExitCode {
    bellwether::cli::main()
}
