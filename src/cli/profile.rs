//! `evenkeel profile`: the built-in profiles, as a list or one at a time.

use std::process::ExitCode;

use clap::Args;

use super::Streams;
use crate::config::built_in_profiles;

#[derive(Args, Clone, Debug)]
pub struct ProfileArgs {
    /// Prints the text of this profile, as a start for one's own.
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub fn run(args: &ProfileArgs, streams: &mut Streams<'_>) -> ExitCode {
    let mut profiles = built_in_profiles();
    let text = match &args.name {
        None => profiles.map(|profile| profile.line() + "\n").collect::<String>(),
        Some(name) => match profiles.find(|profile| profile.name == name) {
            Some(profile) => profile.text.to_owned(),
            None => {
                let names: Vec<_> = built_in_profiles().map(|profile| profile.name).collect();
                let names = names.join(", ");
                let message = format!("there is no profile `{name}`; built in are {names}");
                // Where standard error cannot be written either, the exit code has to do.
                let _ = writeln!(streams.stderr, "evenkeel profile: {message}");
                return ExitCode::from(2);
            }
        },
    };
    match streams.stdout.write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(name: Option<&str>) -> (String, String) {
        let args = ProfileArgs { name: name.map(str::to_owned) };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut none = std::io::empty();
        run(&args, &mut Streams { stdin: &mut none, stdout: &mut out, stderr: &mut err });
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn the_list_names_every_profile_with_its_tiers_and_each_is_printed() {
        let (list, _) = printed(None);
        assert_eq!(list.lines().count(), built_in_profiles().count());
        let stripe = list.lines().find(|line| line.starts_with("stripe ")).unwrap();
        assert!(stripe.contains("https://api.stripe.com") && stripe.contains("live, sandbox"));
        assert!(printed(Some("stripe")).0.contains("\nurl: https://api.stripe.com\n"));
    }

    #[test]
    fn an_unknown_profile_is_answered_with_the_known_ones() {
        let (out, err) = printed(Some("strip"));
        assert_eq!(out, "");
        assert!(err.contains("`strip`") && err.contains("stripe, twilio"), "{err}");
    }
}
