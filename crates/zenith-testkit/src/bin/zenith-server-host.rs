//! The small program every test server runs under; it alone calls into C.
//!
//! `build.rs` compiles this file by itself with `rustc` and the library carries the result, so that any test binary
//! of any crate finds it without a build step of its own. So it has no dependencies and no configuration: which
//! server runs with which arguments is the library's business.
//!
//! ```text
//! zenith-server-host [--die-with PID | --detach] exec PROGRAM ARG…      become PROGRAM
//! zenith-server-host [--die-with PID | --detach] clickhouse LIB ARG…    run the ClickHouse inside libchdb.so
//! zenith-server-host guard DIR                                          when standard input ends, remove DIR
//! ```
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, OsString, c_char, c_int, c_ulong, c_void};
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::{CommandExt, parent_id};
use std::process::{Command, ExitCode};
use std::time::Duration;

/// `RTLD_NOW` of `dlfcn.h`: resolve all symbols at once, and keep them out of the global scope.
const RTLD_NOW: c_int = 2;
/// `PR_SET_PDEATHSIG` of `linux/prctl.h`.
const PR_SET_PDEATHSIG: c_int = 1;
/// `SIGKILL`: a server that outlives its test has nothing left to save.
const SIGKILL: c_ulong = 9;

#[link(name = "dl")]
unsafe extern "C" {
    fn dlopen(filename: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(handle: *mut c_void, symbol: *const c_char) -> *mut c_void;
    fn dlerror() -> *const c_char;
    fn prctl(option: c_int, ...) -> c_int;
    fn setsid() -> c_int;
}

/// `struct local_result_v2` of chdb.h; the library owns it and everything it points to.
#[repr(C)]
struct LocalResult {
    buf: *mut c_char,
    len: usize,
    vec: *mut c_void,
    elapsed: f64,
    rows_read: u64,
    bytes_read: u64,
    error_message: *mut c_char,
}

/// `query_stable_v2` of chdb.h: takes the arguments of clickhouse-local, returns when its queries have ended.
type QueryStableV2 = unsafe extern "C" fn(argc: c_int, argv: *mut *mut c_char) -> *mut LocalResult;

fn main() -> ExitCode {
    match run(std::env::args_os().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("zenith-server-host: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut args: impl Iterator<Item = OsString>) -> Result<(), String> {
    let mut verb = args.next().ok_or("no verb given")?;
    if verb == "--die-with" {
        let parent =
            args.next().and_then(|pid| pid.to_str()?.parse().ok()).ok_or("--die-with needs a pid")?;
        die_with_parent(parent)?;
        verb = args.next().ok_or("no verb given")?;
    } else if verb == "--detach" {
        // SAFETY: setsid takes no arguments; failing (already a leader) is harmless.
        unsafe { setsid() };
        verb = args.next().ok_or("no verb given")?;
    }
    let operand = args.next().ok_or("the verb needs an operand")?;
    match verb.to_str() {
        Some("exec") => Err(format!("cannot run {operand:?}: {}", Command::new(&operand).args(args).exec())),
        Some("clickhouse") => clickhouse(operand, args),
        Some("guard") => guard(&operand),
        _ => Err(format!("unknown verb {verb:?}")),
    }
}

/// Asks the kernel for SIGKILL when the thread that started this process ends; survives `exec`.
fn die_with_parent(parent: u32) -> Result<(), String> {
    // SAFETY: PR_SET_PDEATHSIG reads one integer argument and touches no memory of ours.
    if unsafe { prctl(PR_SET_PDEATHSIG, SIGKILL) } != 0 {
        return Err(format!("prctl(PR_SET_PDEATHSIG): {}", std::io::Error::last_os_error()));
    }
    // The parent may have died before the call above: then nobody would ever send the signal.
    if parent_id() != parent { Err(format!("the parent {parent} is gone")) } else { Ok(()) }
}

fn clickhouse(library: OsString, args: impl Iterator<Item = OsString>) -> Result<(), String> {
    let query = load(library)?;
    let args = std::iter::once(OsString::from("clickhouse"))
        .chain(args)
        .map(|arg| CString::new(arg.into_vec()).map_err(|_| "an argument holds a NUL".to_owned()))
        .collect::<Result<Vec<_>, _>>()?;
    let mut argv: Vec<*mut c_char> = args.iter().map(|arg| arg.as_ptr().cast_mut()).collect();
    let argc = c_int::try_from(argv.len()).map_err(|_| "too many arguments")?;
    argv.push(std::ptr::null_mut());
    // SAFETY: the signature is that of chdb.h; argv is NULL-terminated and lives, as do its strings, until the return.
    let result = unsafe { query(argc, argv.as_mut_ptr()) };
    if result.is_null() {
        return Err("ClickHouse returned nothing".to_owned());
    }
    // SAFETY: a result that is not null points to a local_result_v2 of the library, never freed by us.
    let message = unsafe { (*result).error_message };
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: an error message that is not null is a C string owned by the result.
    Err(unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned())
}

fn load(library: OsString) -> Result<QueryStableV2, String> {
    let shown = library.clone();
    let path = CString::new(library.into_vec()).map_err(|_| "the library's path holds a NUL".to_owned())?;
    // SAFETY: the path is a C string; the library stays loaded until the process ends.
    let handle = unsafe { dlopen(path.as_ptr(), RTLD_NOW) };
    if handle.is_null() {
        return Err(format!("cannot load {shown:?}: {}", last_dl_error()));
    }
    // SAFETY: the handle is the one dlopen gave, the name is a C string.
    let symbol = unsafe { dlsym(handle, c"query_stable_v2".as_ptr()) };
    if symbol.is_null() {
        return Err(format!("{shown:?} has no query_stable_v2: {}", last_dl_error()));
    }
    // SAFETY: chdb.h declares the symbol as a function of exactly this type.
    Ok(unsafe { std::mem::transmute::<*mut c_void, QueryStableV2>(symbol) })
}

fn last_dl_error() -> String {
    // SAFETY: dlerror takes no arguments and returns null or a C string valid until the next dl call of this thread.
    let message = unsafe { dlerror() };
    if message.is_null() {
        return "no reason given".to_owned();
    }
    // SAFETY: checked above not to be null.
    unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned()
}

/// Waits for the end of the process holding the other end of standard input, then removes its servers' data.
///
/// The servers get their SIGKILL at the same moment, and may write for an instant more, so it takes several attempts.
fn guard(directory: &OsString) -> Result<(), String> {
    std::io::stdin().read_to_end(&mut Vec::new()).map_err(|error| error.to_string())?;
    for _ in 0..50 {
        match std::fs::remove_dir_all(directory) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(_) => std::thread::park_timeout(Duration::from_millis(100)),
        }
    }
    Err(format!("cannot remove {directory:?}"))
}
