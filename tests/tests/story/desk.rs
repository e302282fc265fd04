//! What stands at a laptop: a terminal with somebody at it, a proxy, an IP-KVM.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use farmwatch_tests::lan::Laptop;
use farmwatch_tests::world::wait_for;

/// A terminal on the laptop whose owner takes messages.
pub struct Terminal {
    ours: File,
    _theirs: File,
}

impl Terminal {
    pub fn open(laptop: &Laptop) -> Self {
        let devices = laptop.files().join("dev/pts");
        let ours = File::options().read(true).write(true).open(devices.join("ptmx")).unwrap();
        rustix::pty::unlockpt(&ours).unwrap();
        rustix::io::ioctl_fionbio(&ours, true).unwrap();
        let name = rustix::pty::ptsname(&ours, Vec::new()).unwrap();
        let number = name.to_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let theirs = devices.join(number);
        fs::set_permissions(&theirs, fs::Permissions::from_mode(0o620)).unwrap();
        let theirs = File::options().read(true).write(true).open(theirs).unwrap();
        Self { ours, _theirs: theirs }
    }

    /// Reads until a word is there.
    pub fn read(&self, limit: Duration, word: &str) -> String {
        let mut text = String::new();
        let seen = wait_for("a message on the terminal", limit, || {
            let mut bytes = [0; 4096];
            if let Ok(length) = (&self.ours).read(&mut bytes) {
                text.push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
            Ok(text.contains(word).then_some(()))
        });
        seen.unwrap_or_else(|error| panic!("{error:#}: {text:?}"));
        text
    }
}

/// A socket on the laptop's loopback.
pub fn proxy_socket() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// An HTTP proxy that tunnels everything to one place. Call it in the laptop's network: threads inherit it.
pub fn serve_proxy(listener: TcpListener, address: &str, port: u16) {
    let to = (address.to_owned(), port);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let to = to.clone();
            std::thread::spawn(move || {
                let _ = tunnel(client, &to);
            });
        }
    });
}

fn tunnel(mut client: TcpStream, to: &(String, u16)) -> io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let server = TcpStream::connect((to.0.as_str(), to.1))?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (mut client_in, mut server_out) = (client.try_clone()?, server.try_clone()?);
    let up = std::thread::spawn(move || {
        let done = io::copy(&mut client_in, &mut server_out);
        let _ = server_out.shutdown(std::net::Shutdown::Write);
        done
    });
    let (mut server, mut client) = (server, client);
    io::copy(&mut server, &mut client)?;
    let _ = client.shutdown(std::net::Shutdown::Both);
    let _ = up.join();
    Ok(())
}

/// Plugs a PiKVM with its maker's defaults into the laptop, below a root folder that else shows the machine.
pub fn with_pikvm(laptop: &mut Laptop) {
    let root = laptop.folder().join("root");
    fs::create_dir_all(&root).unwrap();
    for folder in ["proc", "dev", "etc", "run", "usr", "var", "tmp"] {
        symlink(Path::new("/").join(folder), root.join(folder)).unwrap();
    }
    let bus = root.join("sys/bus/usb/devices");
    let file = |path: &str, text: &str| {
        let path = bus.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    };
    for (name, text) in [
        ("idVendor", "1d6b"),
        ("idProduct", "0104"),
        ("bDeviceClass", "00"),
        ("speed", "480"),
        ("version", " 2.00"),
        ("removable", "removable"),
        ("manufacturer", "PiKVM"),
        ("product", "Composite KVM Device"),
        ("serial", "CAFEBABE"),
    ] {
        file(&format!("1-2/{name}"), text);
    }
    for (number, class) in ["03", "03", "08"].iter().enumerate() {
        file(&format!("1-2:1.{number}/bInterfaceClass"), class);
    }
    laptop.with_root(&root);
}
