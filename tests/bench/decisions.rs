//! `cargo bench --bench decisions`: the cost of the pure decisions on the path of a call, in
//! nanoseconds each. An argument selects the cases whose name contains it. The bounds are in
//! `targets.rs`.

#![expect(clippy::print_stdout, reason = "the table is the result")]

mod cases;
mod measure;

fn main() {
    let filters: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let selected = |name: &str| {
        filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
    };
    println!("| decision | ns each |\n| --- | --- |");
    for case in cases::ALL.iter().filter(|case| selected(case.name)) {
        println!("| {} | {} |", case.name, measure::measure(case));
    }
}
