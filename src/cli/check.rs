//! `plimsoll check`: every mistake of a document, before it does harm.

use super::output::{Output, say, say_json};
use super::source::{Loaded, folder_of, load, stderr_colour};
use super::{Command, Failure, offline};
use clap::{Args, FromArgMatches};
use plimsoll_core::config::{Document, DocumentProblem, Place};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// `plimsoll check`.
pub(super) const COMMAND: Command = Command {
    name: "check",
    about: "Validate a document and exit: 0, or 1 with every mistake and its place",
    example: "plimsoll check --config plimsoll.yaml",
    arguments: |command| CheckArgs::augment_args(command),
    run: |matches| run(CheckArgs::from_arg_matches(matches).map_err(|error| Failure::Usage(error.to_string()))?),
};

#[derive(Args, Clone, Debug)]
struct CheckArgs {
    /// The document
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// How to answer
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

fn run(args: CheckArgs) -> Result<(), Failure> {
    let loaded = load(&args.config)?;
    let findings = Findings::of(&loaded, &folder_of(&args.config));
    match args.output {
        Output::Json => {
            say_json(&findings.as_json(&loaded));
            if findings.problems.is_empty() { Ok(()) } else { Err(Failure::Input(String::new())) }
        }
        Output::Text => findings.as_text(&loaded),
    }
}

struct Findings {
    problems: Vec<DocumentProblem>,
    warnings: Vec<DocumentProblem>,
}

impl Findings {
    fn of(loaded: &Loaded, folder: &Path) -> Self {
        match &loaded.read {
            Err(problems) => Self { problems: problems.list().to_vec(), warnings: Vec::new() },
            Ok(read) => {
                let (problems, more) = compiled(&read.document, folder);
                let warnings = read.warnings.iter().cloned().chain(more).collect();
                Self { problems, warnings }
            }
        }
    }

    fn as_text(&self, loaded: &Loaded) -> Result<(), Failure> {
        let colour = stderr_colour();
        let render = |list: &[DocumentProblem]| {
            let shown = loaded.shown();
            let rendered = list.iter().map(|problem| problem.render(&loaded.file, &shown, colour));
            rendered.collect::<Vec<_>>().join("\n")
        };
        if !self.problems.is_empty() {
            let count = match self.problems.len() {
                1 => "1 mistake".to_owned(),
                many => format!("{many} mistakes"),
            };
            return Err(Failure::Input(format!("{}\n{}: {count}", render(&self.problems), loaded.file)));
        }
        if !self.warnings.is_empty() {
            super::output::warn(&render(&self.warnings));
        }
        if let Ok(read) = &loaded.read {
            say(&format!("{}: well; {}", loaded.file, summary(&read.document)));
        }
        Ok(())
    }

    fn as_json(&self, loaded: &Loaded) -> Value {
        let list = |problems: &[DocumentProblem]| -> Value {
            let each = problems.iter().map(|problem| {
                json!({"line": problem.place.line, "column": problem.place.column, "path": problem.path,
                       "message": problem.message, "help": problem.help})
            });
            each.collect()
        };
        json!({"file": loaded.file, "valid": self.problems.is_empty(),
               "problems": list(&self.problems), "warnings": list(&self.warnings)})
    }
}

/// What is at fault in a document that is well by itself: a certificate whose file is not there, a target that is our own
/// listener. First what fails, then what is only worth saying.
fn compiled(document: &Document, folder: &Path) -> (Vec<DocumentProblem>, Vec<DocumentProblem>) {
    let said = |message: String| DocumentProblem {
        place: Place::default(),
        length: 0,
        path: String::new(),
        message,
        help: None,
    };
    match offline::compile(document, folder) {
        Err(problems) => (problems, Vec::new()),
        Ok(compiled) => {
            let plan = &compiled.snapshot.plan;
            let left_out =
                plan.problems.iter().map(|problem| said(format!("{}: {}", problem.subject, problem.message)));
            (Vec::new(), compiled.warnings.into_iter().map(said).chain(left_out).collect())
        }
    }
}

/// `3 services, 1 route, 2 upstreams`.
fn summary(document: &Document) -> String {
    let counted = |count: usize, one: &str| match count {
        1 => format!("1 {one}"),
        many => format!("{many} {one}s"),
    };
    let all = [
        (document.services.len(), "service"),
        (document.routes.len(), "route"),
        (document.upstreams.len(), "upstream"),
        (document.certificates.len(), "certificate"),
    ];
    let some: Vec<String> =
        all.iter().filter(|(count, _)| *count > 0).map(|(count, one)| counted(*count, one)).collect();
    if some.is_empty() { "it says nothing".to_owned() } else { some.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_core::config::{NoReferences, ReadOptions, Source, read};

    #[test]
    fn a_summary_counts_what_there_is() {
        let text = "_format_version: \"3.0\"\nservices:\n- name: a\n  url: http://a.test\n  routes:\n  - paths: [/a]\n  - paths: [/b]\n";
        let options = ReadOptions { file: "t.yaml", references: &NoReferences, source: Source::File };
        let document = read(text, &options).unwrap().document;
        assert_eq!(summary(&document), "1 service, 2 routes");
        assert_eq!(summary(&Document::default()), "it says nothing");
    }
}
