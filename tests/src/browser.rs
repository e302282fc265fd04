//! Chromium, driven by its own driver over HTTP: opens pages, presses keys, takes pictures.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use serde_json::{Value, json};

use crate::world::{Program, free_port, wait_for};

/// How WebDriver names an element in JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Flags for a browser that starts alone, as root, and talks to nobody.
const FLAGS: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// A browser with one window.
pub struct Browser {
    port: u16,
    session: String,
    _driver: Program,
}

/// An element of the page that is open.
#[derive(Debug)]
pub struct Element(String);

impl Browser {
    /// Starts one that keeps its files in `folder`, with or without JavaScript.
    pub fn start(folder: &Path, scripts: bool) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let port = free_port()?;
        let mut command = Command::new("chromedriver");
        let driver = Program::start(command.arg(format!("--port={port}")), &folder.join("driver.log"))
            .context("the test needs chromium and chromedriver (Debian: chromium-driver)")?;
        wait_for("chromedriver", Duration::from_secs(30), || {
            Ok(call(port, "GET", "/status", &Value::Null)?["ready"].as_bool().filter(|ready| *ready))
        })?;
        let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
        flags.push(format!("--user-data-dir={}", folder.join("profile").display()));
        let javascript = if scripts { 1 } else { 2 };
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": {
                "args": flags,
                "prefs": { "profile.managed_default_content_settings.javascript": javascript },
            },
        } } });
        let answer = call(port, "POST", "/session", &wanted).with_context(|| driver.said())?;
        let session = answer["sessionId"].as_str().context("no session")?.to_owned();
        Ok(Self { port, session, _driver: driver })
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        call(self.port, method, &format!("/session/{}{path}", self.session), body)
    }

    fn develop(&self, command: &str, parameters: &Value) -> anyhow::Result<Value> {
        self.ask("POST", "/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// Opens a page.
    pub fn open(&self, url: &str) -> anyhow::Result<()> {
        self.ask("POST", "/url", &json!({ "url": url })).map(drop)
    }

    /// Address of the page that is open.
    pub fn url(&self) -> anyhow::Result<String> {
        Ok(self.ask("GET", "/url", &Value::Null)?.as_str().unwrap_or_default().to_owned())
    }

    /// Text of the page that is open, as a person reads it.
    pub fn text(&self) -> anyhow::Result<String> {
        let body = self.find("body")?;
        let text = self.ask("GET", &format!("/element/{}/text", body.0), &Value::Null)?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// The first element of a CSS selector.
    pub fn find(&self, selector: &str) -> anyhow::Result<Element> {
        let wanted = json!({ "using": "css selector", "value": selector });
        let found = self.ask("POST", "/element", &wanted).with_context(|| selector.to_owned())?;
        Ok(Element(found[ELEMENT].as_str().context("no element")?.to_owned()))
    }

    /// Clicks the first element of a CSS selector.
    pub fn click(&self, selector: &str) -> anyhow::Result<()> {
        let element = self.find(selector)?;
        self.ask("POST", &format!("/element/{}/click", element.0), &json!({})).map(drop)
    }

    /// Types into the first element of a CSS selector.
    pub fn fill(&self, selector: &str, text: &str) -> anyhow::Result<()> {
        let element = self.find(selector)?;
        let path = format!("/element/{}/value", element.0);
        self.ask("POST", &path, &json!({ "text": text })).map(drop)
    }

    /// Presses one key, wherever the focus is.
    pub fn press(&self, key: &str) -> anyhow::Result<()> {
        let strokes = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        let actions = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": strokes }] });
        self.ask("POST", "/actions", &actions).map(drop)
    }

    /// Runs a script in the page and gives what it returns.
    pub fn script(&self, script: &str) -> anyhow::Result<Value> {
        self.ask("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Makes the window so wide and high, in CSS pixels.
    pub fn size(&self, width: u32, height: u32) -> anyhow::Result<()> {
        let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.develop("Emulation.setDeviceMetricsOverride", &screen).map(drop)
    }

    /// Prefers `light` or `dark`.
    pub fn scheme(&self, scheme: &str) -> anyhow::Result<()> {
        let wanted = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.develop("Emulation.setEmulatedMedia", &wanted).map(drop)
    }

    /// A picture of the whole page.
    pub fn picture(&self, file: &Path) -> anyhow::Result<()> {
        let wanted = json!({ "format": "png", "captureBeyondViewport": true });
        let answer = self.develop("Page.captureScreenshot", &wanted)?;
        let data = answer["data"].as_str().context("no picture")?;
        std::fs::write(file, base64::engine::general_purpose::STANDARD.decode(data)?)?;
        Ok(())
    }

    /// What the browser has complained of since the last call: errors of scripts, of the content policy, of loading.
    pub fn complaints(&self) -> anyhow::Result<Vec<String>> {
        let log = self.ask("POST", "/se/log", &json!({ "type": "browser" }))?;
        let lines = log.as_array().context("no log")?;
        Ok(lines.iter().filter_map(|line| line["message"].as_str().map(str::to_owned)).collect())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.ask("DELETE", "", &Value::Null);
    }
}

fn call(port: u16, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(90)))?;
    let body = if body.is_null() { String::new() } else { body.to_string() };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let answer = read_answer(&mut stream)?;
    let answer: Value = serde_json::from_slice(&answer).context("the driver's answer is no JSON")?;
    let value = &answer["value"];
    if let Some(error) = value["error"].as_str() {
        bail!("{method} {path}: {error}: {}", value["message"].as_str().unwrap_or_default());
    }
    Ok(value.clone())
}

/// The body of an answer. The driver keeps the connection open, so the head says where the body ends.
fn read_answer(stream: &mut TcpStream) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut part = vec![0; 65536];
    loop {
        let length = stream.read(&mut part)?;
        bytes.extend(&part[..length]);
        let Some(head_end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
            ensure!(length > 0, "the driver hung up");
            continue;
        };
        let head = String::from_utf8_lossy(&bytes[..head_end]).to_ascii_lowercase();
        let wanted =
            head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        let body = &bytes[head_end + 4..];
        match wanted {
            Some(wanted) if body.len() >= wanted => return Ok(body[..wanted].to_vec()),
            None if length == 0 => return Ok(body.to_vec()),
            _ => ensure!(length > 0, "the driver hung up in the middle"),
        }
    }
}
