//! A decoded path stays below the root, no segment of it holds a slash, and it decodes again from its encoded form.
#![no_main]

#[path = "../../crates/http-core/tests/worlds/naive/path.rs"]
mod naive;

use http_core::{Authority, Path, Target, TargetForm, percent_encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    path(bytes);
    if let Ok(authority) = Authority::new(bytes) {
        assert_eq!(authority.as_str().as_bytes(), bytes);
        assert!(!authority.host().is_empty() && !bytes.contains(&b'@') && !bytes.contains(&b'/'));
        assert!(authority.as_str().starts_with(authority.host()));
    }
    let Ok(target) = Target::new(bytes) else { return };
    assert_eq!(target.as_str().as_bytes(), bytes);
    assert!(bytes.iter().all(|c| (b'!'..=b'~').contains(c)), "it would end a line or a word of it");
    let shown = format!("{}{}", target.raw_path(), target.query().map(|query| format!("?{query}")).unwrap_or_default());
    match target.form() {
        TargetForm::Origin => assert!(shown.as_bytes() == bytes && target.authority().is_none()),
        TargetForm::Asterisk => assert!(bytes == b"*" && shown == "*" && target.authority().is_none()),
        TargetForm::Absolute => {
            let authority = target.authority().unwrap().as_str();
            let rest = &target.as_str()["http://".len() + authority.len()..];
            let slash = if rest.starts_with('/') { "" } else { "/" };
            assert_eq!(shown, format!("{slash}{rest}"));
        }
        form => panic!("a new form: {form:?}"),
    }
    assert!(target.form() == TargetForm::Asterisk || target.raw_path().starts_with('/'));
    assert!(!target.raw_path().contains('\\'), "some take it for a slash");
    path(target.raw_path().as_bytes());
});

fn path(raw: &[u8]) {
    let path = Path::new(raw).ok();
    let decoded = path.map(|path| {
        let mut out = b"root".to_vec();
        path.decode_to(&mut out);
        out.strip_prefix(b"root").expect("it only appends").to_vec()
    });
    assert_eq!(decoded, naive::read(raw), "{}", raw.escape_ascii());
    let (Some(path), Some(decoded)) = (path, decoded) else { return };

    assert!(decoded.iter().all(|&c| c >= b' ' && c != 0x7f));
    let mut href = String::new();
    for segment in decoded.split(|&c| c == b'/').filter(|_| !decoded.is_empty()) {
        assert!(!matches!(segment, b"" | b"." | b".."), "{}", decoded.escape_ascii());
        href.push('/');
        percent_encode(segment, &mut href);
    }
    if href.is_empty() {
        assert!(path.is_directory());
        return;
    }
    let target = Target::new(href.as_bytes()).unwrap();
    assert_eq!((target.form(), target.raw_path(), target.query()), (TargetForm::Origin, href.as_str(), None));
    let mut again = Vec::new();
    Path::new(href.as_bytes()).unwrap().decode_to(&mut again);
    assert_eq!(again, decoded);
}
