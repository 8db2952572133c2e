use crate::answer::{Answer, Event, Finish};
use crate::error::Failure;
use crate::request::Part;
use crate::usage::Usage;
use crate::validate::LoopWatch;

/// What was seen so far.
pub(super) struct Seen {
    pub usage: Option<Usage>,
    pub finish: Option<Finish>,
    pub anything: bool,
    watch: LoopWatch,
    collect: bool,
    pub answer: Answer,
}

impl Seen {
    /// Nothing; `collect` says whether the answer is put together.
    pub fn new(collect: bool) -> Self {
        let answer = Answer {
            id: String::new(),
            model: String::new(),
            parts: Vec::new(),
            finish: Finish::Stop,
            usage: Usage::default(),
        };
        Self { usage: None, finish: None, anything: false, watch: LoopWatch::default(), collect, answer }
    }

    /// Takes an event in.
    ///
    /// # Errors
    /// The answer repeats itself without end.
    pub fn see(&mut self, event: &Event) -> Result<(), Failure> {
        match event {
            Event::Text(text) => {
                self.anything = true;
                if self.watch.push(text) {
                    return Err(Failure::Looping);
                }
            }
            Event::ToolArguments { text, .. } => {
                if self.watch.push(text) {
                    return Err(Failure::Looping);
                }
            }
            Event::ToolStart { .. } => self.anything = true,
            Event::Refusal(_) => self.finish = Some(Finish::Refused),
            Event::Finish(finish) if self.finish != Some(Finish::Refused) => self.finish = Some(*finish),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Start { .. } | Event::Finish(_) => {}
        }
        if self.collect {
            self.collect(event);
        }
        Ok(())
    }

    fn collect(&mut self, event: &Event) {
        let answer = &mut self.answer;
        match event {
            Event::Start { id, model } => (answer.id, answer.model) = (id.clone(), model.clone()),
            Event::Text(more) => match answer.parts.last_mut() {
                Some(Part::Text(text)) => text.push_str(more),
                _ => answer.parts.push(Part::Text(more.clone())),
            },
            Event::ToolStart { id, name, .. } => {
                answer.parts.push(Part::ToolCall { id: id.clone(), name: name.clone(), arguments: String::new() });
            }
            Event::ToolArguments { index, text } => {
                let mut calls = answer.parts.iter_mut().filter_map(|part| match part {
                    Part::ToolCall { arguments, .. } => Some(arguments),
                    _ => None,
                });
                if let Some(arguments) = calls.nth(*index) {
                    arguments.push_str(text);
                }
            }
            Event::Finish(finish) => answer.finish = *finish,
            Event::Refusal(_) | Event::Usage(_) => {}
        }
    }
}
