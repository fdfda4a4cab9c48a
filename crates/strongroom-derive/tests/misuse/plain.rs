use std::borrow::Cow;
use std::ffi::OsString;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use strongroom::FromSecrets;

#[derive(FromSecrets)]
struct Plain {
    #[secret(parse)]
    password: String,
    #[secret(parse, kind = "token")]
    optional: Option<String>,
    #[secret(parse, kind = "token")]
    full_path: std::string::String,
    #[secret(parse, kind = "token")]
    boxed: Box<str>,
    #[secret(parse, kind = "token")]
    shared: Arc<str>,
    #[secret(parse, kind = "token")]
    counted: Rc<str>,
    #[secret(parse, kind = "token")]
    borrowed: Cow<'static, str>,
    #[secret(parse, kind = "token")]
    path: PathBuf,
    #[secret(parse, kind = "token")]
    system: OsString,
}

fn main() {}
