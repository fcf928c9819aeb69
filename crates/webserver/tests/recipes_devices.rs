//! Boot loaders and devices, as `docs/recipes/` says: each request is sent as the page has it, byte for byte, and the
//! response read as the device's source reads it, which is not always what the standard says.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use support::{Program, ReceivedResponse, Recipe, connect, read_response, read_to_end};

/// The requests of a page that a test sends, and a server for a file.
struct Device {
    recipe: Recipe,
    program: Program,
}

impl Device {
    fn start(page: &str, test: &str, file: &str, content: &[u8]) -> Device {
        let recipe = Recipe::read(page, &format!("recipes_devices.rs::{test}"));
        recipe.write(file, content);
        Device { program: recipe.serve(), recipe }
    }

    /// The requests, each with its empty line.
    fn requests(&self) -> Vec<String> {
        let address = self.program.address().to_string();
        let text = self.recipe.block(" HTTP/1.").replace("localhost:6789", &address).replace('\n', "\r\n");
        text.split_inclusive("\r\n\r\n").map(|request| format!("{}\r\n\r\n", request.trim_end())).collect()
    }

    fn connect(&self) -> TcpStream {
        connect(self.program.address())
    }

    /// Sends a request and waits for the end of the connection: the head and the body.
    fn fetch(&self, request: &str) -> (String, Vec<u8>) {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let bytes = read_to_end(&mut stream).unwrap();
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        (String::from_utf8(bytes[..end].to_vec()).unwrap(), bytes[end..].to_vec())
    }
}

/// On a connection that stays open. After a HEAD there is no body.
fn ask(stream: &mut TcpStream, request: &str) -> ReceivedResponse {
    stream.write_all(request.as_bytes()).unwrap();
    if !request.starts_with("HEAD ") {
        return read_response(stream);
    }
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    ReceivedResponse { status: head[9..12].parse().unwrap(), head, body: Vec::new() }
}

fn image(size: usize) -> Vec<u8> {
    (0..=250).cycle().take(size).collect()
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn ipxe_boots_on_one_connection() {
    let image = image(30_000_000);
    let device = Device::start("network-boot", "ipxe_boots_on_one_connection", "srv/boot/vmlinuz", &image);
    device.recipe.write("srv/boot/initrd.img", "initrd");
    let kernel = &device.requests()[0];
    let mut stream = device.connect();
    let response = ask(&mut stream, kernel);
    assert!(response.status == 200 && response.body == image);
    // A response of HTTP/1.0 keeps its connection only if it says so.
    assert!(response.keeps_alive(), "{}", response.head);
    let response = ask(&mut stream, &kernel.replace("/vmlinuz", "/initrd.img"));
    assert_eq!((response.status, &*response.body), (200, &b"initrd"[..]));
    assert_eq!(ask(&mut stream, &kernel.replace("/vmlinuz", "/missing")).status, 404);
    drop(stream);
    device.program.finish();

    // It waits as long as a 503 says.
    let program = Program::start(device.recipe.path("srv/boot").as_ref(), &["--max-connections", "1"]);
    let mut busy = connect(program.address());
    busy.write_all(kernel.as_bytes()).unwrap();
    busy.read_exact(&mut [0; 1]).unwrap();
    let response = ask(&mut connect(program.address()), kernel);
    assert_eq!((response.status, response.header("Retry-After")), (503, Some("1")));
    drop(busy);
    program.finish();
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn ipxe_reads_blocks_of_a_disk() {
    let image = image(1 << 20);
    let device = Device::start("network-boot", "ipxe_reads_blocks_of_a_disk", "srv/boot/disk.img", &image);
    let mut stream = device.connect();
    let [head, range] = &device.requests()[..] else { panic!("two requests") };
    let response = ask(&mut stream, head);
    // It attaches a disk only to a server that says that it knows ranges.
    assert_eq!((response.status, response.header("Accept-Ranges")), (200, Some("bytes")));
    assert_eq!(response.content_length(), Some(image.len()));
    for first in [512, 0, (1 << 20) - 4096] {
        let range = range.replace("512-4607", &format!("{first}-{}", first + 4095));
        let response = ask(&mut stream, &range);
        // It ignores Content-Range: a 200 would be taken for the block.
        assert_eq!((response.status, response.content_length()), (206, Some(4096)));
        assert!(response.body == image[first..first + 4096]);
    }
    drop(stream);
    device.program.finish();
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn u_boot_fetches_an_image() {
    let image = image(3_000_000);
    let device = Device::start("network-boot", "u_boot_fetches_an_image", "srv/boot/image.fit", &image);
    let [request] = &device.requests()[..] else { panic!("one request") };
    assert_eq!(request, "GET /image.fit HTTP/1.0\r\n\r\n");
    let (head, body) = device.fetch(request);
    assert!(body == image);
    // It searches the first packet for these.
    assert!(head.len() < 536, "more than the smallest segment of IPv4 has: {head}");
    assert!(head.contains("200") && head.contains("Content-Length: 3000000\r\n"), "{head}");
    // Anything but a 200 must not contain "200" there, or an error page is booted.
    let (head, _) = device.fetch(&request.replace("image.fit", "missing"));
    let undated: String = head.lines().filter(|line| !line.starts_with("Date:")).collect();
    assert!(undated.contains("404") && !undated.contains("200"), "{head}");
    device.program.finish();
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn u_boot_with_lwip_fetches_an_image() {
    let image = image(3_000_000);
    let device = Device::start("network-boot", "u_boot_with_lwip_fetches_an_image", "srv/boot/image.fit", &image);
    let [request] = &device.requests()[..] else { panic!("one request") };
    let (head, body) = device.fetch(request);
    assert!(body == image);
    assert!(head.starts_with("HTTP/1.0 200 ") && head.contains("\r\nContent-Length: 3000000\r\n"), "{head}");
    device.program.finish();
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn http_update_gets_an_image_with_its_length() {
    let image = [&[0xe9][..], &image(1_000_000)].concat(); // of ESP32: they begin with 0xE9
    let test = "http_update_gets_an_image_with_its_length";
    let device = Device::start("esp32", test, "srv/firmware/app-1.2.bin", &image);
    let [request] = &device.requests()[..] else { panic!("one request") };
    let (head, body) = device.fetch(request);
    assert!(body == image);
    assert!(head.starts_with("HTTP/1.0 200 ") && !head.contains("Content-Encoding"), "{head}");
    assert!(head.contains("\r\nContent-Length: 1000001\r\n"), "{head}");
    let tag = head.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap();
    let conditional = request.replace("\r\n\r\n", &format!("\r\nIf-None-Match: {tag}\r\n\r\n"));
    let (head, body) = device.fetch(&conditional);
    assert!(head.starts_with("HTTP/1.0 304 ") && body.is_empty(), "{head}");
    device.program.finish();
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn esp_https_ota_fetches_an_image_in_parts() {
    let image = image(40_000);
    let test = "esp_https_ota_fetches_an_image_in_parts";
    let device = Device::start("esp32", test, "srv/firmware/app-1.2.bin", &image);
    let [head, range] = &device.requests()[..] else { panic!("two requests") };
    let response = ask(&mut device.connect(), head);
    assert_eq!((response.status, response.content_length()), (200, Some(40_000)));
    let part = |bytes: &str| {
        let response = ask(&mut device.connect(), &range.replace("0-16383", bytes));
        assert_eq!(response.status, 206, "{}", response.head);
        response.body
    };
    // In parts, the last without an end; and continued, to one byte behind the end.
    let parts = [part("0-16383"), part("16384-32767"), part("32768-")].concat();
    assert!(parts == image);
    assert!(part("32768-40000") == image[32768..]);
    // In one piece.
    let whole = ask(&mut device.connect(), &range.replace("Range: bytes=0-16383\r\n", ""));
    assert!(whole.status == 200 && whole.body == image);
    device.program.finish();
}
