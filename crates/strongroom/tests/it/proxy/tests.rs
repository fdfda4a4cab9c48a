//! The proxy itself, before a backend is tested through it.

use super::*;

/// A server that sends back what it gets.
async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    address
}

async fn call(stream: &mut TcpStream, text: &str) -> io::Result<String> {
    stream.write_all(text.as_bytes()).await?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await?;
    Ok(String::from_utf8(answer).unwrap())
}

#[tokio::test]
async fn passes_counts_and_ends() {
    let proxy = Proxy::start(&echo().await).await;
    let mut first = TcpStream::connect(proxy.address()).await.unwrap();
    let mut second = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(call(&mut first, "one").await.unwrap(), "one");
    assert_eq!(call(&mut second, "two").await.unwrap(), "two");
    assert_eq!(proxy.connections(), 2);
    first.shutdown().await.unwrap();
    assert_eq!(first.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn latency_is_added_each_way_and_does_not_add_up() {
    let proxy = Proxy::start(&echo().await).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    proxy.set(Mode::Latency(Duration::from_millis(40)));
    let started = Instant::now();
    call(&mut stream, "one").await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(80));
    // A hundred pieces on their way at once take as long as one, however slow the machine: one
    // after the other they would take eight seconds.
    let started = Instant::now();
    let (mut from, mut to) = stream.split();
    let send = async {
        for _ in 0..100 {
            to.write_all(b"x").await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let mut answer = [0; 100];
    let (_, received) = tokio::join!(send, from.read_exact(&mut answer));
    received.unwrap();
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn open_connections_and_new_ones_are_reset() {
    let proxy = Proxy::start(&echo().await).await;
    let mut open = TcpStream::connect(proxy.address()).await.unwrap();
    call(&mut open, "one").await.unwrap();
    proxy.set(Mode::Reset);
    let mut new = TcpStream::connect(proxy.address()).await.unwrap();
    for stream in [&mut open, &mut new] {
        let failure = stream.read(&mut [0]).await.unwrap_err();
        assert_eq!(failure.kind(), io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn a_black_hole_holds_back_until_the_mode_changes() {
    let proxy = Proxy::start(&echo().await).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    proxy.set(Mode::BlackHole);
    let mut call = Box::pin(call(&mut stream, "one"));
    let waited = tokio::time::timeout(Duration::from_millis(100), &mut call).await;
    assert!(waited.is_err());
    proxy.set(Mode::Pass);
    assert_eq!(call.await.unwrap(), "one");
}

#[tokio::test]
async fn an_answer_is_cut_after_so_many_bytes() {
    let proxy = Proxy::start(&echo().await).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    call(&mut stream, "whole").await.unwrap();
    proxy.set(Mode::CutAfter(4));
    stream.write_all(b"cut in two").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "cut ");
}

#[tokio::test]
async fn a_listener_that_is_down_refuses_until_it_is_up() {
    let mut proxy = Proxy::start(&echo().await).await;
    let mut open = TcpStream::connect(proxy.address()).await.unwrap();
    call(&mut open, "one").await.unwrap();
    proxy.take_down().await;
    assert!(call(&mut open, "two").await.is_err());
    let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    proxy.bring_up().await;
    let mut new = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(call(&mut new, "three").await.unwrap(), "three");
}
