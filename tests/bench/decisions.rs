//! `cargo bench --bench decisions`: the cost of the pure hot decisions, in nanoseconds each. An
//! argument selects the cases whose name contains it. The bounds are in `targets.rs`.

#![expect(clippy::print_stdout, reason = "the table is the result")]

mod cases;
mod measure;

fn main() {
    let filters: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let wanted = |name: &str| {
        filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
    };
    println!("| decision | ns each |\n| --- | --- |");
    for case in cases::ALL.iter().filter(|case| wanted(case.name)) {
        println!("| {} | {} |", case.name, measure::measure(case));
    }
}
