//! Entry: hands the command line over and returns its exit code. No logic.

fn main() -> std::process::ExitCode {
    evenkeel::cli::main()
}
