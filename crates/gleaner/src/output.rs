//! The stream of results. A reader that closes the pipe early (`gleaner files | head`) is not an error.

use std::fmt;
use std::io::{self, BufWriter, Write};

/// Writes results to standard output, or to a buffer in tests.
///
/// When the reader closes the pipe, all further output is discarded without an error: a command that also
/// *does* something continues. A command that only prints can check [`Output::is_closed`] and stop early.
pub struct Output {
    stream: BufWriter<Box<dyn Write + Send>>,
    closed: bool,
}

impl Output {
    /// Standard output.
    pub fn standard() -> Self {
        Self::to(io::stdout())
    }

    /// Any other stream.
    pub fn to(stream: impl Write + Send + 'static) -> Self {
        Self {
            stream: BufWriter::new(Box::new(stream)),
            closed: false,
        }
    }

    /// Whether the reader has closed the pipe.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Writes text and a line break.
    pub fn line(&mut self, text: impl fmt::Display) -> io::Result<()> {
        writeln!(self, "{text}")
    }

    /// Flushes the buffer.
    pub fn flush(&mut self) -> io::Result<()> {
        Write::flush(self)
    }

    fn swallow_broken_pipe<T>(&mut self, result: io::Result<T>, swallowed: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(swallowed)
            }
            other => other,
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Ok(bytes.len());
        }
        let result = self.stream.write(bytes);
        self.swallow_broken_pipe(result, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let result = self.stream.flush();
        self.swallow_broken_pipe(result, ())
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Output")
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_not_an_error() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut output = Output::to(writer);
        output.line("first").unwrap();
        output.flush().unwrap();
        assert!(output.is_closed());
        output.line("x".repeat(100_000)).unwrap();
        output.flush().unwrap();
    }

    #[test]
    fn any_other_failure_is_an_error() {
        let mut output = Output::to(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
        output.line("first").unwrap();
        assert!(output.flush().is_err());
        assert!(!output.is_closed());
    }
}
