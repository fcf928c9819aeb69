//! Media types by name: lists that correct and extend the `mime_guess` crate. They are sorted, for a binary search.

/// Names of files that are text, in lower case, and the same names with an unknown extension: `README.Debian`.
#[rustfmt::skip] // a table
const TEXT_NAMES: &[&str] = &[
    "authors", "build", "changelog", "changes", "checksums", "codeowners", "containerfile", "contributing",
    "contributors", "copying", "copyright", "credits", "dockerfile", "gemfile", "gnumakefile", "go.mod", "go.sum",
    "go.work", "hacking", "history", "install", "jenkinsfile", "justfile", "kconfig", "licence", "license",
    "maintainers", "makefile", "md5sums", "news", "notice", "patents", "pkgbuild", "procfile", "rakefile", "readme",
    "release-notes", "sha1sums", "sha256sums", "sha512sums", "thanks", "todo", "unlicense", "vagrantfile", "version",
    "workspace",
];

/// Extensions of sources and settings, which a browser shows as text. The crate does not know them, or has a type for
/// them that makes browsers save them.
#[rustfmt::skip] // a table
const TEXT_EXTENSIONS: &[&str] = &[
    "abc", "ac", "ada", "adb", "adoc", "ads", "ahk", "am", "asax", "asc", "ascii", "asciidoc", "ascx", "ashx",
    "asmx", "aspx", "ass", "astro", "awk", "bash", "bat", "bazel", "bib", "bicep", "boo", "brf", "bst", "bzl", "c++",
    "capnp", "clj", "cljc", "cljs", "cls", "cmake", "cnd", "copyright", "cql", "csh", "csvs", "cts", "cue", "d",
    "dart", "desktop", "dhall", "diff", "dockerfile", "dot", "ebuild", "eclass", "editorconfig", "edn", "ejs", "el",
    "elm", "env", "erb", "erl", "ex", "exs", "f03", "f95", "fish", "frag", "fs", "fsi", "fsx", "gcd", "ged",
    "gemspec", "geojsonl", "gff3", "gleam", "glsl", "go", "gql", "gradle", "graphql", "groovy", "h++", "haml", "hcl",
    "hgl", "hjson", "hlsl", "hrl", "hs", "hx", "iml", "ino", "j2", "java", "jinja", "jinja2", "jl", "json5", "jsonc",
    "jsonl", "jsonnet", "jtd", "ksh", "kt", "kts", "ld", "lhs", "libsonnet", "liquid", "lisp", "lock", "lrc", "lsp",
    "ltx", "ly", "m", "m4", "make", "man", "manifest", "mc2", "md5", "me", "mf", "miz", "ml", "mli", "moc", "ms",
    "mustache", "ndjson", "nim", "nix", "nsi", "org", "ovpn", "patch", "pgn", "php", "php3", "phps", "pl", "pm",
    "po", "pod", "pot", "prisma", "pro", "properties", "proto", "provn", "ps1", "psd1", "psm1", "pub", "pug", "pxd",
    "pyi", "pyw", "pyx", "qml", "r", "rake", "rb", "rego", "rej", "rkt", "rmd", "roff", "rst", "ru", "sbt", "scala",
    "scm", "sed", "service", "sh", "sha1", "sha224", "sha256", "sha384", "sha512", "shaclc", "shc", "si", "sl",
    "sls", "soa", "socket", "sos", "spdx", "spec", "sql", "srt", "ssa", "sty", "sum", "sv", "svelte", "svh", "swift",
    "t", "tag", "tcl", "tcsh", "tex", "texi", "texinfo", "textile", "tf", "tfvars", "thrift", "timer", "tk", "tm",
    "tmpl", "tpl", "tr", "ts", "tsx", "twig", "v", "vala", "vert", "vfk", "vhdl", "vim", "vue", "wat", "wgsl", "zig",
    "zone", "zsh",
];

/// Where the crate is outdated or knows no type.
const CORRECTIONS: &[(&str, &str)] = &[
    ("3mf", "model/3mf"),
    ("afp", "application/vnd.afpc.modca"),
    ("aif", "audio/x-aiff"),
    ("aifc", "audio/x-aiff"),
    ("aiff", "audio/x-aiff"),
    ("cab", "application/vnd.ms-cab-compressed"),
    ("cbor", "application/cbor"),
    ("cbr", "application/vnd.comicbook-rar"),
    ("cbz", "application/vnd.comicbook+zip"),
    ("cer", "application/pkix-cert"),
    ("cjs", "text/javascript"),
    ("class", "application/java-vm"),
    ("cod", "application/vnd.rim.cod"),
    ("cur", "image/x-icon"),
    ("deb", "application/vnd.debian.binary-package"),
    ("dmg", "application/x-apple-diskimage"),
    ("dtd", "application/xml-dtd"),
    ("dwf", "model/vnd.dwf"),
    ("dwg", "image/vnd.dwg"),
    ("dxf", "image/vnd.dxf"),
    ("emf", "image/emf"),
    ("fdf", "application/fdf"),
    ("har", "application/json"),
    ("hif", "image/heif"),
    ("ipynb", "application/x-ipynb+json"),
    ("iso", "application/x-iso9660-image"),
    ("jpgm", "image/jpm"),
    ("lha", "application/x-lha"),
    ("list3820", "application/vnd.afpc.modca"),
    ("listafp", "application/vnd.afpc.modca"),
    ("lz", "application/x-lzip"),
    ("lz4", "application/x-lz4"),
    ("lzh", "application/x-lzh"),
    ("lzma", "application/x-lzma"),
    ("m2t", "video/mp2t"),
    ("m2ts", "video/mp2t"),
    ("m3u", "audio/mpegurl"),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("m4a", "audio/mp4"),
    ("m4b", "audio/mp4"),
    ("m4s", "video/iso.segment"),
    ("m4v", "video/mp4"),
    ("map", "application/json"),
    ("mid", "audio/midi"),
    ("midi", "audio/midi"),
    ("mjs", "text/javascript"),
    ("mlp", "audio/vnd.dolby.mlp"),
    ("mmf", "application/vnd.smaf"),
    ("mml", "application/mathml+xml"),
    ("msi", "application/x-msi"),
    ("mtl", "model/mtl"),
    ("mts", "video/mp2t"),
    ("nb", "application/vnd.wolfram.mathematica"),
    ("obj", "model/obj"),
    ("odb", "application/vnd.oasis.opendocument.base"),
    ("otf", "font/otf"),
    ("pcx", "image/vnd.zbrush.pcx"),
    ("pem", "application/pem-certificate-chain"),
    ("pls", "audio/x-scpls"),
    ("psd", "image/vnd.adobe.photoshop"),
    ("qxd", "application/vnd.quark.quarkxpress"),
    ("rar", "application/vnd.rar"),
    ("rpm", "application/x-redhat-package-manager"),
    ("sarif", "application/sarif+json"),
    ("scr", "application/octet-stream"),
    ("sqlite", "application/vnd.sqlite3"),
    ("sqlite3", "application/vnd.sqlite3"),
    ("step", "model/step"),
    ("stl", "model/stl"),
    ("stp", "model/step"),
    ("taz", "application/gzip"),
    ("tbz", "application/x-bzip2"),
    ("tbz2", "application/x-bzip2"),
    ("tgz", "application/gzip"),
    ("topojson", "application/json"),
    ("ttml", "application/ttml+xml"),
    ("txz", "application/x-xz"),
    ("udeb", "application/vnd.debian.binary-package"),
    ("usdz", "model/vnd.usdz+zip"),
    ("uvu", "video/vnd.dece.mp4"),
    ("uvvu", "video/vnd.dece.mp4"),
    ("vcf", "text/vcard"),
    ("wmf", "image/wmf"),
    ("woff", "font/woff"),
    ("wrl", "model/vrml"),
    ("wsdl", "application/wsdl+xml"),
    ("x3db", "model/x3d+fastinfoset"),
    ("x3dv", "model/x3d-vrml"),
    ("x3dvz", "model/x3d-vrml"),
    ("xcf", "image/x-xcf"),
    ("xer", "application/xcap-error+xml"),
    ("xfdf", "application/xfdf"),
    ("xlf", "application/xliff+xml"),
    ("xml", "application/xml"),
    ("xsl", "application/xslt+xml"),
    ("xslt", "application/xslt+xml"),
    ("zst", "application/zstd"),
];

/// The `text/` types that browsers handle. All other text is `text/plain`, so that they show it.
const TEXTS: &[&str] = &["calendar", "css", "csv", "html", "javascript", "markdown", "vcard", "vtt"];

/// The type of a file with this name, without parameters. `None` if nothing is known.
pub(super) fn of_name(name: &[u8]) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let is_text = |name: &[u8]| TEXT_NAMES.binary_search_by_key(&name, |known| known.as_bytes()).is_ok();
    if is_text(&name) {
        return Some("text/plain");
    }
    if name == b"apple-app-site-association" {
        return Some("application/json"); // Apple's name for it has no extension
    }
    let mut parts = name.split(|&c| c == b'.');
    let (stem, extension) = (parts.next()?, parts.next_back()?);
    let known = str::from_utf8(extension).ok().and_then(of_extension);
    known.or_else(|| is_text(stem).then_some("text/plain"))
}

/// The type of files with this extension, in lower case.
pub(super) fn of_extension(extension: &str) -> Option<&'static str> {
    if TEXT_EXTENSIONS.binary_search(&extension).is_ok() {
        return Some("text/plain");
    }
    let known = match CORRECTIONS.binary_search_by_key(&extension, |(known, _)| known) {
        Ok(n) => CORRECTIONS[n].1,
        Err(_) => mime_guess::from_ext(extension).first_raw()?,
    };
    Some(match known.strip_prefix("text/") {
        Some("xml") => "application/xml", // the same, but its declaration says the encoding (RFC 7303)
        Some(text) if !TEXTS.contains(&text) => "text/plain", // R1945-3.4
        _ => known,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::io::{self, ErrorKind, Write};

    /// Where types differ from those of Debian, with the reason.
    const DIFFERENCES: &[(&str, &str)] = &[
        (
            "it is text, which a browser then shows",
            "ac asc ass bat coffee dart ebuild eclass m man me ms nim org pgn pub rb rct rs scm sls sql texi texinfo tpl wsc",
        ),
        (
            "it is another name of the same, which more programs know",
            "3mf asf dif dv fli ico mid p12 pfx rm rss swf wav",
        ),
        ("it is another name of the same", "book frame gsf maker mdb pfa sitx"),
        (
            "the format that most such files have is another",
            "atx car cst erf gam gsheet hif mod mts mvb ntf pml prc scd",
        ),
        ("the format that most such files have is another", "sgi sid skp smi smv spc svc vbk vbox xsf"),
        ("there are several formats, and each is saved", "com dist distz dll dms exe fla mpf msm pfb pkg scr"),
        ("it is binary, and Debian's is a rare text", "3dm a ccc flt hans spo"),
        ("as .tar.gz", "taz tgz"),
        ("the last extension counts", "cwl.json gpkg.tar pcf.z sarif-external-properties.json sarif.json spdx.json"),
        ("the last extension counts", "syft.json tm.json tm.jsonld"),
    ];

    #[test]
    fn lists_are_sorted_for_the_search() {
        assert!(TEXT_NAMES.is_sorted() && TEXT_EXTENSIONS.is_sorted() && CORRECTIONS.is_sorted());
    }

    #[test]
    fn corrections_differ_from_the_crate() {
        for (extension, media_type) in CORRECTIONS {
            assert_ne!(mime_guess::from_ext(extension).first_raw(), Some(*media_type), "{extension}");
        }
    }

    /// The types of each extension in a file such as `/etc/mime.types`.
    fn parse(text: &str) -> BTreeMap<String, Vec<String>> {
        let mut types: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some(media_type) = words.next() else { continue };
            for extension in words {
                types.entry(extension.to_lowercase()).or_default().push(media_type.to_owned());
            }
        }
        types
    }

    // The list of the package media-types, which follows the registry of IANA.
    #[test]
    fn types_are_those_of_debian_except_for_reasons() {
        let text = match fs::read_to_string("/etc/mime.types") {
            Err(error) if error.kind() == ErrorKind::NotFound && std::env::var_os("CI").is_none() => {
                // Not by eprintln, which the test harness captures.
                let _ = io::stderr().write_all(b"MISSING: /etc/mime.types (Debian package media-types)\n");
                return;
            }
            text => text.unwrap(),
        };
        let debian = parse(&text);
        assert!(debian.len() > 1000, "only {} extensions", debian.len());
        let mut explained: BTreeSet<&str> = DIFFERENCES.iter().flat_map(|(_, list)| list.split_whitespace()).collect();
        for (extension, theirs) in &debian {
            let own = of_extension(extension.rsplit('.').next().unwrap());
            let is_text = theirs.iter().any(|media_type| media_type.starts_with("text/"));
            let is_right = match own {
                None => !is_text, // rare, and saved by browsers as Debian's type would be
                Some("text/plain") if is_text => true,
                Some(own) => theirs.iter().any(|media_type| media_type.eq_ignore_ascii_case(own)),
            };
            assert!(is_right || explained.remove(&**extension), "{extension} is {own:?}, and {theirs:?} in Debian");
        }
        assert!(explained.is_empty(), "these do not differ: {explained:?}");
    }
}
