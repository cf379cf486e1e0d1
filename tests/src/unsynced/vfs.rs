//! The VFS itself: the system's, with a note taken of each change.

#![expect(unsafe_code, reason = "SQLite takes a VFS as tables of C functions over raw pointers")]

use super::{Change, Disk};
use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};
use std::ffi::{CStr, OsStr, OsString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// The system's VFS. Set once, before any function below is called, and never changed.
static SYSTEM: AtomicPtr<sqlite3_vfs> = AtomicPtr::new(std::ptr::null_mut());

/// The methods of one open file of a watched folder: the system's, but for those that change what the disk holds.
#[repr(C)]
struct Methods {
    /// First, since SQLite points at it.
    own: sqlite3_io_methods,
    system: *const sqlite3_io_methods,
    disk: Disk,
    name: OsString,
    /// The next sync is that of the folder too.
    syncs_folder: AtomicBool,
}

/// Makes this the process's default VFS.
pub(super) fn register() {
    // SAFETY: the system's VFS is valid for the process's life, and so is its copy, which is leaked.
    unsafe {
        let system = ffi::sqlite3_vfs_find(std::ptr::null());
        SYSTEM.store(system, Ordering::Release);
        let own = sqlite3_vfs {
            pNext: std::ptr::null_mut(),
            zName: c"unsynced".as_ptr(),
            xOpen: Some(open),
            xDelete: Some(delete),
            ..*system
        };
        let code = ffi::sqlite3_vfs_register(Box::leak(Box::new(own)), 1);
        assert_eq!(code, ffi::SQLITE_OK, "SQLite takes the VFS");
    }
}

/// The disk that a path is on, and the name there, if its folder is watched.
///
/// # Safety
/// `path` is null or a C string.
unsafe fn watched(path: *const c_char) -> Option<(Disk, OsString)> {
    if path.is_null() {
        return None;
    }
    // SAFETY: not null, so a C string, by this function's contract.
    let path = unsafe { CStr::from_ptr(path) };
    Disk::of(Path::new(OsStr::from_bytes(path.to_bytes())))
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    path: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes null or a path.
    let watched = unsafe { watched(path) };
    // Only a file that nobody has open: to close one would end the process's locks on it.
    let unknown = watched.as_ref().filter(|(disk, name)| !disk.state().knows(name));
    let found = unknown.and_then(|(disk, name)| std::fs::read(disk.path().join(name)).ok());
    let system = SYSTEM.load(Ordering::Acquire);
    // SAFETY: the arguments are passed on as they came, to the VFS whose file size SQLite was told.
    let code = unsafe { (*system).xOpen.map_or(ffi::SQLITE_ERROR, |open| open(system, path, file, flags, out_flags)) };
    if let Some((disk, name)) = watched
        && code == ffi::SQLITE_OK
    {
        disk.state().opened(&name, found);
        let journal = ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL;
        let syncs_folder = AtomicBool::new(flags & ffi::SQLITE_OPEN_CREATE != 0 && flags & journal != 0);
        // SAFETY: an open file has methods, a table that is valid for the process's life. The file's own table is freed
        // when it is closed.
        unsafe {
            let system = (*file).pMethods;
            let own = sqlite3_io_methods {
                // Without memory mapping, which came with version 3.
                iVersion: 2,
                xClose: Some(close),
                xWrite: Some(write),
                xTruncate: Some(truncate),
                xSync: Some(sync),
                ..*system
            };
            (*file).pMethods = Box::into_raw(Box::new(Methods { own, system, disk, name, syncs_folder })).cast();
        }
    }
    code
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, path: *const c_char, sync_folder: c_int) -> c_int {
    let system = SYSTEM.load(Ordering::Acquire);
    let real = || {
        // SAFETY: the path is passed on as it came.
        unsafe { (*system).xDelete.map_or(ffi::SQLITE_ERROR, |delete| delete(system, path, 0)) }
    };
    // SAFETY: SQLite passes a path.
    let Some((disk, name)) = (unsafe { watched(path) }) else {
        return real();
    };
    disk.change(real, |state| {
        state.deleted(&name);
        if sync_folder != 0 {
            state.folder_synced();
        }
    })
}

/// What stands beside a file, and the system's methods for it.
///
/// # Safety
/// `file` was opened by [`open`] in a watched folder, and is not closed before the last use of the answer.
unsafe fn methods<'a>(file: *mut sqlite3_file) -> (&'a Methods, &'a sqlite3_io_methods) {
    // SAFETY: `open` made the file's methods the first field of a `Methods`, with the system's table, which never ends.
    unsafe {
        let methods = &*(*file).pMethods.cast::<Methods>();
        (methods, &*methods.system)
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite calls the methods with the file that they are of, and none after this one; so they can be freed.
    unsafe {
        let own = (*file).pMethods.cast::<Methods>().cast_mut();
        (*file).pMethods = (*own).system;
        drop(Box::from_raw(own));
        (*(*file).pMethods).xClose.map_or(ffi::SQLITE_ERROR, |close| close(file))
    }
}

unsafe extern "C" fn write(file: *mut sqlite3_file, from: *const c_void, len: c_int, at: sqlite3_int64) -> c_int {
    // SAFETY: SQLite calls the methods with the file that they are of, and with as many bytes as it says.
    let ((own, system), bytes) =
        unsafe { (methods(file), std::slice::from_raw_parts(from.cast::<u8>(), to_usize(len.into()))) };
    // SAFETY: the arguments are passed on as they came.
    let real = || unsafe { system.xWrite.map_or(ffi::SQLITE_ERROR, |write| write(file, from, len, at)) };
    own.disk.change(real, |state| {
        state.changed(&own.name, Change::Write { at: to_usize(at), bytes: bytes.to_owned() });
    })
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, len: sqlite3_int64) -> c_int {
    // SAFETY: SQLite calls the methods with the file that they are of.
    let (own, system) = unsafe { methods(file) };
    // SAFETY: the arguments are passed on as they came.
    let real = || unsafe { system.xTruncate.map_or(ffi::SQLITE_ERROR, |truncate| truncate(file, len)) };
    own.disk.change(real, |state| state.changed(&own.name, Change::Truncate { len: to_usize(len) }))
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _: c_int) -> c_int {
    // SAFETY: SQLite calls the methods with the file that they are of.
    let (own, _) = unsafe { methods(file) };
    own.disk.change(
        || own.disk.sync(),
        |state| {
            state.synced(&own.name);
            if own.syncs_folder.swap(false, Ordering::Relaxed) {
                state.folder_synced();
            }
        },
    )
}

/// A size or an offset, which SQLite never makes negative.
fn to_usize(size: sqlite3_int64) -> usize {
    usize::try_from(size).expect("sizes are not negative")
}
