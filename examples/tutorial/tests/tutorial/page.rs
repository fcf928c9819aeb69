//! What a page of the tutorial asks its reader to do, in order. It knows nothing about how that is done.

use std::fs;

use super::workspace;

pub enum Step {
    /// The title of the section that begins.
    Section(String),
    /// A listing, for the file that the text named last.
    Listing {
        file: String,
        language: String,
        text: String,
    },
    /// A link to the program as it should be now.
    Program(String),
    Commands(Vec<Entry>),
}

/// `[1]$ command` or another input to a terminal, and what it prints.
pub struct Entry {
    pub terminal: char,
    pub input: String,
    pub output: Vec<String>,
}

pub fn read(page: &str) -> String {
    fs::read_to_string(workspace().join("docs/tutorial").join(page)).unwrap()
}

/// The steps of a page, each with the place where it stands.
pub fn steps(page: &str) -> Vec<(String, Step)> {
    let (text, mut steps, mut file) = (read(page), Vec::new(), String::new());
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let place = format!("docs/tutorial/{page}:{}", number + 1);
        let Some(language) = line.strip_prefix("```") else {
            if let Some(title) = line.strip_prefix("## ") {
                steps.push((place.clone(), Step::Section(title.to_string())));
            }
            for code in line.split('`').skip(1).step_by(2) {
                if ["src/bin/", "www/", "examples/"].iter().any(|start| code.starts_with(start))
                    && [".rs", ".html"].iter().any(|end| code.ends_with(end))
                {
                    file = code.to_string();
                }
            }
            for link in line.split("](../../examples/tutorial/src/bin/").skip(1) {
                steps.push((place.clone(), Step::Program(link.split(".rs)").next().unwrap().to_string())));
            }
            continue;
        };
        let block: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
        let step = match language {
            "console" => Step::Commands(entries(&block, &place)),
            _ => {
                let text = block.iter().map(|line| format!("{line}\n")).collect();
                Step::Listing { file: file.clone(), language: language.to_string(), text }
            }
        };
        steps.push((place, step));
    }
    steps
}

fn entries(block: &[&str], place: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in block {
        match (line.as_bytes(), entries.last_mut()) {
            ([b'[', digit @ b'1'..=b'3', b']', ..], _) => {
                entries.push(Entry { terminal: char::from(*digit), input: line[3..].to_string(), output: Vec::new() });
            }
            (_, Some(entry)) => entry.output.push(line.to_string()),
            (_, None) => panic!("{place}: this is printed in no terminal"),
        }
    }
    entries
}
