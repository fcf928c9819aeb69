//! Compresses pages with gzip for clients that accept it.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use http_core::negotiate::{self, Choice};
use http_core::{Fields, header};
use http_server::{Body, Response};

/// Bytes of memory that a compressor takes.
pub(crate) const MEMORY: usize = 416 << 10;

/// A smaller page fits into one packet with its head.
const MIN: usize = 1 << 10;

/// For 5,000 entries, 3.4 ms make 145 KB of 1 MB. Level 1 takes 1.6 ms for 189 KB, and level 6 13 ms for 134 KB.
const LEVEL: Compression = Compression::new(3);

/// The response for a client that sent these headers. A HEAD gets the headers of a GET.
pub(crate) fn compressed(response: Response, fields: &Fields<'_>) -> Response {
    let choice = negotiate::content_coding(fields, &["gzip"]);
    // R9110-12.5.5: whatever was chosen, another client may get something else.
    let response = response.append_header(header::VARY, "Accept-Encoding");
    match response.body_ref() {
        Body::Bytes(page) if choice == Choice::Coded(0) && page.len() >= MIN => match gzip(page) {
            Ok(page) => response.body(page).header(header::CONTENT_ENCODING, "gzip"),
            Err(_) => response, // impossible in memory
        },
        _ => response,
    }
}

fn gzip(page: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), LEVEL);
    encoder.write_all(page)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Files;
    use flate2::read::GzDecoder;
    use http_core::Method;
    use http_server::testing::{RequestBuilder, TestResponse};
    use std::fs::{self, File};
    use std::io::Read;
    use std::time::{Duration, SystemTime};

    /// The responses to a GET and a HEAD with this Accept-Encoding. Their headers are the same.
    fn get(files: &Files, target: &str, accept: Option<&str>) -> TestResponse {
        let [get, head] = [Method::Get, Method::Head].map(|method| {
            let request = RequestBuilder::new(method, target);
            accept.map_or(request.send(files), |accept| {
                RequestBuilder::new(method, target).header("Accept-Encoding", accept).send(files)
            })
        });
        let headers = |response: &TestResponse| {
            format!("{:?}", response.headers).replace(response.headers.get("Date").unwrap(), "")
        };
        assert_eq!((headers(&get), head.body.len()), (headers(&head), 0), "{target} {accept:?}");
        get
    }

    fn decoded(response: &TestResponse) -> Vec<u8> {
        let mut page = Vec::new();
        GzDecoder::new(&*response.body).read_to_end(&mut page).unwrap();
        page
    }

    // R9110-12.5.5
    #[test]
    fn listing_is_compressed_for_clients_that_accept_gzip_and_varies_for_all() {
        let directory = tempfile::tempdir().unwrap();
        for n in 0..30 {
            File::create(directory.path().join(format!("some-name-{n}"))).unwrap();
        }
        let files = Files::new(directory.path()).unwrap();
        for target in ["/", "/?format=json", "/?sort=size"] {
            let plain = get(&files, target, None);
            assert_eq!(plain.headers.get("Content-Encoding"), None);
            for (accept, is_compressed) in [
                ("gzip", true),
                ("br, x-gzip;q=0.1", true),
                ("*", true),
                ("br, zstd", false),
                ("gzip;q=0, *", false),
                ("gzip;q=0.1, identity", false),
                ("", false),
            ] {
                let response = get(&files, target, Some(accept));
                let coding = response.headers.get("Content-Encoding");
                assert_eq!(coding, is_compressed.then_some("gzip"), "{target} {accept}");
                assert!(if is_compressed { decoded(&response) == plain.body } else { response.body == plain.body });
                let varies = response.headers.iter().filter(|header| *header == ("Vary", "Accept-Encoding")).count();
                assert_eq!((varies, response.headers.get("Content-Type")), (1, plain.headers.get("Content-Type")));
            }
            assert_eq!(plain.headers.get("Vary"), Some("Accept-Encoding"));
        }
    }

    #[test]
    fn files_small_listings_and_other_pages_are_not_compressed() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("empty")).unwrap();
        let mut file = File::create(directory.path().join("text.txt")).unwrap();
        file.write_all(&[b'a'; 5000]).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap(); // a file of this second has no date yet
        let files = Files::new(directory.path()).unwrap();
        for target in ["/text.txt", "/empty/?format=json", "/none", "/empty"] {
            assert_eq!(get(&files, target, Some("gzip")).headers.get("Content-Encoding"), None, "{target}");
        }
    }

    #[test]
    fn listing_of_5_000_entries_takes_a_fifth() {
        let directory = tempfile::tempdir().unwrap();
        for n in 0..5000_u64 {
            File::create(directory.path().join(format!("{:x}-report-{n}.pdf", n * 2_654_435_761 % 1_000_003))).unwrap();
        }
        let files = Files::new(directory.path()).unwrap();
        let [plain, compressed] = [None, Some("gzip")].map(|accept| get(&files, "/", accept).body.len());
        assert!(compressed * 5 < plain, "{compressed} of {plain}");
    }

    // V20
    #[test]
    fn compressor_takes_the_memory_that_is_counted() {
        let page = vec![b'a'; 1 << 20];
        let taken = allocation_counter::measure(|| drop(gzip(&page).unwrap()));
        assert!((MEMORY as u64 / 2..MEMORY as u64).contains(&taken.bytes_max), "{taken:?}");
    }
}
