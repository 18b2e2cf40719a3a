//! `bellwether convert`, as a shell uses it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Output, Stdio};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    command.arg("convert").args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut child = command(arguments).spawn().unwrap();
    // Wrong usage is found before anything is read.
    let _is_read = child.stdin.take().unwrap().write_all(input.as_bytes()).is_ok();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

const TO_ANTHROPIC: [&str; 4] = ["--from", "openai_chat", "--to", "anthropic_messages"];
const TO_OPENAI: [&str; 4] = ["--from", "anthropic", "--to", "openai"];

fn with<'a>(first: &'a str, rest: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [&[first], rest, more].concat()
}

#[test]
fn a_request_is_told_or_refused_by_name() {
    let asked = "{\"model\":\"chat\",\"max_tokens\":8,\"seed\":7,\n\
                 \"messages\":[{\"role\":\"user\",\"name\":\"ann\",\"content\":\"hi\"}]}";
    let (code, out, err) = run(&with("request", &TO_ANTHROPIC, &[]), asked);
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(
        err,
        "bellwether: the parameter `seed` has no counterpart in the provider's dialect; \
         `--lenient` leaves it out\n"
    );
    let lenient = with("request", &TO_ANTHROPIC, &["--lenient", "--model", "claude"]);
    let (code, out, err) = run(&lenient, asked);
    assert_eq!(code, 0, "{err}");
    assert_eq!(
        out,
        "{\"max_tokens\":8,\"messages\":[{\"content\":[{\"text\":\"hi\",\"type\":\"text\"}],\
         \"role\":\"user\"}],\"model\":\"claude\"}\n"
    );
    assert_eq!(
        err,
        "bellwether: left out `seed`\n\
         bellwether: left out `messages[0].name`: `messages[].name`: who of several speaks\n"
    );
    let broken = run(&with("request", &TO_ANTHROPIC, &[]), "{\"model\": \"chat\",\n  \"n\" 1}");
    assert_eq!(broken.0, 1);
    assert_eq!(broken.2, "bellwether: the body is not JSON: expected `:` at line 2 column 7\n");
    let limited = with("request", &TO_OPENAI, &["--tokens-field", "max_completion_tokens"]);
    let (code, out, _) = run(&limited, "{\"model\":\"m\",\"max_tokens\":3,\"messages\":[]}");
    assert_eq!(code, 0);
    assert_eq!(out, "{\"max_completion_tokens\":3,\"messages\":[],\"model\":\"m\"}\n");
}

#[test]
fn an_answer_an_error_and_a_stream_are_told_apart() {
    let said = "{\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\
                \"message\":{\"role\":\"assistant\",\"content\":\"hi\"}}],\
                \"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}";
    let (code, out, err) = run(&with("response", &TO_ANTHROPIC, &[]), said);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(
        out,
        "{\"content\":[{\"text\":\"hi\",\"type\":\"text\"}],\"id\":\"c\",\"model\":\"m\",\
         \"role\":\"assistant\",\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\
         \"type\":\"message\",\"usage\":{\"cache_creation_input_tokens\":0,\
         \"cache_read_input_tokens\":0,\"input_tokens\":3,\"output_tokens\":1}}\n"
    );
    let refused = "{\"error\":{\"message\":\"no\",\"type\":\"x\",\"code\":null,\"param\":null}}";
    let (code, out, _) = run(&with("response", &TO_ANTHROPIC, &["--status", "401"]), refused);
    assert_eq!(code, 0);
    assert!(out.contains("\"type\":\"authentication_error\""), "{out}");
    let page = run(&with("response", &TO_ANTHROPIC, &[]), "<html></html>");
    assert_eq!((page.0, page.1.as_str()), (1, ""));
    assert_eq!(page.2, "bellwether: this is neither JSON nor a stream of events\n");
}

#[test]
fn what_goes_to_google_and_to_responses_comes_back_as_well() {
    let asked = r#"{"model":"m","max_tokens":3,"messages":[{"role":"user","content":"hi"}]}"#;
    let request = |from: &str, to: &str| run(&["request", "--from", from, "--to", to], asked);
    let to_google = "{\"contents\":[{\"parts\":[{\"text\":\"hi\"}],\"role\":\"user\"}],\
                     \"generationConfig\":{\"maxOutputTokens\":3}}\n";
    assert_eq!(request("openai", "gemini"), (0, to_google.to_owned(), String::new()));
    assert_eq!(request("anthropic", "google"), (0, to_google.to_owned(), String::new()));
    let (code, out, err) = request("anthropic", "responses");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("\"max_output_tokens\":3") && out.contains("\"store\":false"), "{out}");

    let stream = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"ok\"}]},\
                  \"finishReason\":\"STOP\",\"safetyRatings\":[{\"category\":\"c\"}]}],\
                  \"modelVersion\":\"m\",\"responseId\":\"r\"}\r\n\r\n";
    let response = |to: &str, said: &str| run(&["response", "--from", "gemini", "--to", to], said);
    let (code, out, err) = response("openai", stream);
    assert_eq!((code, err.as_str()), (0, "bellwether: left out `candidates[0].safetyRatings`\n"));
    assert!(out.contains("\"content\":\"ok\"") && out.ends_with("data: [DONE]\n\n"), "{out}");
    let (code, out, _) = response("anthropic", stream);
    assert!(code == 0 && out.contains("event: message_stop"), "{out}");
    // Google's errors come in a list, sometimes.
    let refused = r#"[{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}]"#;
    let (code, out, _) = response("openai", refused);
    assert!(code == 0 && out.contains("\"code\":\"rate_limit_exceeded\""), "{out}");
}

#[test]
fn a_stream_is_told_as_it_comes_and_its_end_only_if_it_came() {
    let events = [
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"a\",\"model\":\"m\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ];
    let mut child = command(&with("response", &TO_OPENAI, &[])).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    for (event, expected) in events.iter().zip(["\"role\":\"assistant\"", "\"content\":\"hi\""]) {
        input.write_all(event.as_bytes()).unwrap();
        // It is here while the stream is still open.
        line.clear();
        output.read_line(&mut line).unwrap();
        assert!(line.starts_with("data: {") && line.contains(expected), "{line}");
        output.read_line(&mut line).unwrap();
    }
    input.write_all(events[2..].concat().as_bytes()).unwrap();
    drop(input);
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("\"total_tokens\":5") && rest.ends_with("data: [DONE]\n\n"), "{rest}");
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let (code, out, err) = run(&with("response", &TO_OPENAI, &[]), &events[..2].concat());
    assert_eq!((code, err.as_str()), (1, "bellwether: the stream ended without its end\n"));
    assert!(out.contains("\"content\":\"hi\"") && !out.contains("[DONE]"), "{out}");
}

#[test]
fn usage_is_wrong_or_the_table_is_printed() {
    for arguments in [
        &["request", "--from", "openai_chat", "--to", "openai_chat"] as &[_],
        &["request", "--from", "openai_chat"],
        &["request", "--from", "gemini", "--to", "openai_chat"],
        &["response", "--from", "openai_chat", "--to", "gemini"],
        &["request", "--from", "gemini", "--to", "openai_responses"],
        &with("request", &TO_OPENAI, &["--strict", "--lenient"]),
        &[],
    ] {
        assert_eq!(run(arguments, "").0, 2, "{arguments:?}");
    }
    let (code, out, _) = run(&["--table"], "");
    assert_eq!(code, 0);
    for row in [
        "| request | OpenAI chat → Anthropic | `temperature` | strict: refused; lenient: left out | above 1; becomes 1 |",
        "| request | Anthropic → OpenAI chat, Gemini, OpenAI responses | `document` | refused | a block of a message |",
        "| answer | Anthropic → OpenAI chat | `stop_sequence` | left out | which of them stopped it |",
        "| answer | Gemini → OpenAI chat, Anthropic | `safetyRatings` | left out |  |",
    ] {
        assert!(out.lines().any(|line| line == row), "{row} in {out}");
    }
    assert!(out.lines().all(|line| line.starts_with("| ") && line.ends_with(" |")), "{out}");
}
