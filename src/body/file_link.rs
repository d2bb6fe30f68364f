// SPDX-License-Identifier: GPL-2.0-or-later
//! Files that are offered as links: application/vnd.gsma.rcs-ft-http+xml, as RCS user agents send it.
//!
//! In: bytes. Out: the link of each file, without those of previews.

use super::shape::Shape;
use super::xml::{Fault, Piece, read};

/// The media type.
pub const MIME: &str = "application/vnd.gsma.rcs-ft-http+xml";

/// The most bytes that are read.
const MAX_BYTES: usize = 16 * 1024;

/// The most files.
const MAX_FILES: usize = 16;

/// A file that can be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLink {
    /// Where: an http or https URL.
    pub url: String,
    /// What it is called.
    pub name: Option<String>,
}

/// The document is none of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body offers no files")]
pub struct FileLinkError;

impl From<Fault> for FileLinkError {
    fn from(_: Fault) -> Self {
        Self
    }
}

/// What is being read.
#[derive(Default)]
struct Reader {
    path: Vec<String>,
    links: Vec<FileLink>,
    /// The file under way is a preview of another.
    preview: bool,
    name: String,
    url: Option<String>,
}

impl FileLink {
    /// Reads a document. Total and bounded.
    pub fn parse(bytes: &[u8]) -> Result<Vec<Self>, FileLinkError> {
        let mut reader = Reader::default();
        read(bytes, MAX_BYTES, Shape::default(), |piece| {
            reader.take(piece)
        })?;
        if reader.links.is_empty() {
            return Err(FileLinkError);
        }
        Ok(reader.links)
    }
}

impl Reader {
    fn take(&mut self, piece: Piece<'_>) -> Result<(), FileLinkError> {
        match piece {
            Piece::Open(element) => {
                self.path.push(element.name.to_owned());
                match self.path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                    ["file"] => {}
                    [root] if root != "file" => return Err(FileLinkError),
                    ["file", "file-info"] => {
                        self.preview = element.attribute("type") != Some("file");
                        self.name.clear();
                        self.url = None;
                    }
                    ["file", "file-info", "data"] => {
                        self.url = element.attribute("url").map(str::to_owned);
                    }
                    _ => {}
                }
            }
            Piece::Text(text) => {
                if self.path.last().is_some_and(|name| name == "file-name") {
                    self.name.push_str(&text);
                }
            }
            Piece::Close => {
                let closed = self.path.pop();
                if closed.as_deref() == Some("file-info") && self.path.len() == 1 {
                    self.end();
                }
            }
        }
        Ok(())
    }

    fn end(&mut self) {
        let url = self.url.take().filter(|url| is_web(url));
        let Some(url) = url.filter(|_| !self.preview && self.links.len() < MAX_FILES) else {
            return;
        };
        let name = Some(self.name.trim().to_owned()).filter(|name| !name.is_empty());
        self.links.push(FileLink { url, name });
    }
}

fn is_web(url: &str) -> bool {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    (scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http"))
        && !url.contains(|c: char| c.is_whitespace() || c.is_control() || "<>\"".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_its_link() {
        let document = r#"<?xml version="1.0" encoding="UTF-8"?>
            <file xmlns="urn:gsma:params:xml:ns:rcs:rcs:fthttp">
            <file-info type="thumbnail"><content-type>image/jpeg</content-type>
            <data url="https://ft.example/small" until="2026-12-01T00:00:00Z"/></file-info>
            <file-info type="file"><file-size>7</file-size><file-name>balcony &amp; rose.jpg</file-name>
            <content-type>image/jpeg</content-type>
            <data url="https://ft.example/f?x=1&amp;y=2" until="2026-12-01T00:00:00Z"/></file-info></file>"#;
        let link = FileLink {
            url: "https://ft.example/f?x=1&y=2".to_owned(),
            name: Some("balcony & rose.jpg".to_owned()),
        };
        assert_eq!(FileLink::parse(document.as_bytes()), Ok(vec![link]));
    }

    #[test]
    fn what_offers_nothing_is_an_error() {
        for document in [
            "",
            "<file/>",
            "<files><file-info type='file'><data url='https://a.example/'/></file-info></files>",
            "<file><file-info type='thumbnail'><data url='https://a.example/'/></file-info></file>",
            "<file><file-info type='file'><data url='javascript://a'/></file-info></file>",
            "<file><file-info type='file'><data url='https://a b'/></file-info></file>",
            "<file><file-info type='file'><data/></file-info></file>",
        ] {
            assert_eq!(
                FileLink::parse(document.as_bytes()),
                Err(FileLinkError),
                "{document}"
            );
        }
    }
}
