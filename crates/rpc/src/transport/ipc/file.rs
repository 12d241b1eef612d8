//! The file of a Unix socket: whose it is, who may open it, when it goes.

use std::{
    fs, io,
    os::unix::{
        fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use interprocess::{
    local_socket::{GenericFilePath, ListenerOptions, ToFsName as _, tokio::Listener},
    os::unix::local_socket::ListenerOptionsExt as _,
};

use crate::StartError;

/// Removes the file when dropped, unless somebody has put another in its place.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode_of(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// See [`super::IpcListener::bind`].
pub(super) fn bind(path: &Path) -> Result<(Listener, SocketFile), StartError> {
    let length = path.as_os_str().len();
    if length > MAX_PATH {
        return Err(StartError::IpcPath { path: path.to_owned(), length, limit: MAX_PATH });
    }
    let failed = |source| StartError::Ipc { path: path.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o751).create(folder_of(path)).map_err(failed)?;
    clear(path)?;
    let listener =
        if cfg!(target_os = "linux") { bind_with_mode(path) } else { bind_in_private_folder(path) };
    let listener = listener.map_err(failed)?;
    let inode = inode_of(path).map_err(failed)?;
    Ok((listener, SocketFile { path: path.to_owned(), inode }))
}

/// Makes way at `path`, if nobody is there.
fn clear(path: &Path) -> Result<(), StartError> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(StartError::IpcNotSocket { path: path.to_owned() });
    }
    if UnixStream::connect(path).is_ok() {
        return Err(StartError::IpcInUse { path: path.to_owned() });
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StartError::Ipc { path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

/// Linux gives a socket its mode before it has a name.
fn bind_with_mode(path: &Path) -> io::Result<Listener> {
    options(path)?.mode(0o600).create_tokio()
}

/// Elsewhere the socket gets its mode in a folder that nobody else can enter, and its place then.
fn bind_in_private_folder(path: &Path) -> io::Result<Listener> {
    let folder = folder_of(path).join(format!(".{:08x}", rand::random::<u32>()));
    fs::DirBuilder::new().mode(0o700).create(&folder)?;
    let socket = folder.join("s");
    let bound = options(&socket).and_then(ListenerOptions::create_tokio).and_then(|listener| {
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o600))?;
        fs::rename(&socket, path)?;
        Ok(listener)
    });
    let _ = fs::remove_file(&socket);
    let _ = fs::remove_dir(&folder);
    bound
}

/// Whether a file goes is our decision alone.
fn options(path: &Path) -> io::Result<ListenerOptions<'_>> {
    let name = path.to_fs_name::<GenericFilePath>()?;
    Ok(ListenerOptions::new().name(name).reclaim_name(false))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

fn inode_of(path: &Path) -> io::Result<u64> {
    Ok(fs::symlink_metadata(path)?.ino())
}

/// How long the path of a socket may be, in bytes.
const MAX_PATH: usize = if cfg!(target_os = "macos") { 103 } else { 107 };

#[cfg(test)]
mod tests {
    use super::*;

    /// What other systems do works here, too.
    #[tokio::test]
    async fn a_socket_from_a_private_folder_is_at_its_place_and_its_owners_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.ipc");

        let listener = bind_in_private_folder(&path).expect("it binds");

        let metadata = fs::symlink_metadata(&path).expect("it is there");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
        UnixStream::connect(&path).expect("it answers");
        drop(listener);
    }
}
