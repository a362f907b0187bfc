//! Entry: hands the command line over and returns its exit code. No logic.

/// One for the whole program; only the program chooses it, the library does not.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    evenkeel::cli::main()
}
