//! The console as a person's browser or script uses it: logs in, reads JSON and pages, sends forms.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// A logged-in session on a console on loopback.
pub struct Session {
    port: u16,
    cookie: String,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Head, as it came.
    pub head: String,
    /// Body.
    pub body: String,
}

impl Session {
    /// Logs in as the administrator.
    pub fn log_in(port: u16, password: &str) -> anyhow::Result<Self> {
        let form = encode(&[("name", "admin"), ("password", password)]);
        let answer = ask(port, "POST", "/login", "", &form)?;
        ensure!(answer.status == 303, "cannot log in: {answer:?}");
        let cookie = answer.head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let cookie = value.split(';').next()?.trim();
            name.eq_ignore_ascii_case("set-cookie").then(|| cookie.to_owned())
        });
        Ok(Self { port, cookie: cookie.context("logging in gave no cookie")? })
    }

    /// A page.
    pub fn page(&self, path: &str) -> anyhow::Result<String> {
        let answer = ask(self.port, "GET", path, &self.cookie, "")?;
        ensure!(answer.status == 200, "GET {path}: {answer:?}");
        Ok(answer.body)
    }

    /// A page as a person reads it: without markup, one space between words.
    pub fn text(&self, path: &str) -> anyhow::Result<String> {
        let page = self.page(path)?;
        let shown = page.split_once("<main").map_or(page.as_str(), |(_, main)| main);
        let text: String = shown
            .split('<')
            .map(|part| part.split_once('>').map_or(part, |(_, text)| text))
            .collect::<Vec<_>>()
            .join(" ");
        let marks = [("&quot;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
        let text = marks.iter().fold(text, |text, (mark, said)| text.replace(mark, said));
        Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// A list or a thing of the JSON interface.
    pub fn json(&self, path: &str) -> anyhow::Result<Value> {
        let body = self.page(path)?;
        serde_json::from_str(&body).with_context(|| format!("GET {path} gave no JSON: {body}"))
    }

    /// All alerts, in whatever state.
    pub fn alerts(&self) -> anyhow::Result<Vec<Value>> {
        let list = self.json("/api/v1/alerts?state=all&limit=500")?;
        Ok(list["items"].as_array().context("no list of alerts")?.clone())
    }

    /// Sends a form as the page at `from` would: with the token that stands in it.
    pub fn submit(&self, from: &str, path: &str, fields: &[(&str, &str)]) -> anyhow::Result<()> {
        let page = self.page(from)?;
        let token = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        let mut fields = fields.to_vec();
        fields.push(("csrf", token.context("the page has no form")?));
        let answer = ask(self.port, "POST", path, &self.cookie, &encode(&fields))?;
        ensure!(answer.status == 303, "POST {path}: {answer:?}");
        Ok(())
    }
}

fn ask(port: u16, method: &str, path: &str, cookie: &str, form: &str) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nCookie: {cookie}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").context("the console hung up")?;
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).context("no status")?;
    ensure!(!head.to_ascii_lowercase().contains("transfer-encoding: chunked"), "a chunked answer: {head}");
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

fn encode(fields: &[(&str, &str)]) -> String {
    let escape = |text: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        text.bytes()
            .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
            .collect::<String>()
    };
    let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
    pairs.join("&")
}
