//! A troublemaker: it changes `www/big.txt` while that is sent.

use std::env;
use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::Write;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [how, count] = arguments.as_slice() else { return Err("usage: change append|replace|empty LINES".into()) };
    let lines = "All is well so far.\n".repeat(count.parse()?);
    match how.as_str() {
        "append" => {
            let mut file = OpenOptions::new().create(true).append(true).open("www/big.txt")?;
            file.write_all(lines.as_bytes())?;
        }
        "replace" => {
            fs::write("www/big.txt.new", lines)?;
            fs::rename("www/big.txt.new", "www/big.txt")?;
        }
        _ => drop(File::create("www/big.txt")?),
    }
    Ok(())
}
