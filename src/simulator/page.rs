//! `/page`: a page that is no model, for probes of any web service.

use serde_json::{Value, json};

use super::answer::{Content, Finish};
use super::voice::{Frame, Usage, Voice};

/// A page's words. It is never streamed, so its frames say nothing.
pub(super) struct Page;

impl Voice for Page {
    fn opening(&self, _content: &Content) -> Vec<Frame> {
        Vec::new()
    }

    fn piece(&self, text: &str) -> Frame {
        Frame::Json(None, json!({ "said": text }))
    }

    fn refusal(&self, _text: &str) -> Option<Frame> {
        None
    }

    fn early_finish(&self) -> Option<Frame> {
        None
    }

    fn closing(&self, _content: &Content, _finish: Finish, _usage: Usage) -> Vec<Frame> {
        Vec::new()
    }

    fn end(&self) -> Option<Frame> {
        None
    }

    fn keepalive(&self) -> Frame {
        Frame::Comment("")
    }

    fn misshapen(&self) -> Frame {
        Frame::Json(None, json!({ "said": 17 }))
    }

    fn failure(&self, error: &Value) -> String {
        error.to_string()
    }

    fn whole(&self, content: &Content, _finish: Finish, _usage: Usage) -> Value {
        json!({ "status": "ok", "said": content.text() })
    }

    fn misshapen_whole(&self) -> Value {
        json!({ "status": 17 })
    }
}

/// The body of an error.
pub(super) fn error(message: &str) -> Value {
    json!({ "error": message })
}

/// A list of models, which no page has.
pub(super) fn models(models: &[String]) -> Value {
    json!({ "models": models })
}
