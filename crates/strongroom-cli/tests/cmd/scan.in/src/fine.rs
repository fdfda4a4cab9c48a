fn main() {
    println!("password: {}", "changeme".len());
}
