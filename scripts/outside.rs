//! A program outside the workspace that needs nothing but the core.

fn main() {
    println!("{:?}", http_core::Status::OK);
}
