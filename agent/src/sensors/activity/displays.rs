//! Which displays there are: sockets on which somebody listens (proc_net(5), unix(7)). Pure.

use std::collections::BTreeMap;

/// `__SO_ACCEPTCON`: the socket listens.
const LISTENS: u32 = 1 << 16;

/// Displays of this machine.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Displays {
    /// Those of X: their numbers by the inodes of their sockets, of which each has two.
    pub x11: BTreeMap<u64, u32>,
    /// There is one of Wayland's.
    pub wayland: bool,
}

/// From `/proc/net/unix`: address, references, protocol, flags, type, state, inode, name.
pub fn displays(table: &str) -> Displays {
    let mut displays = Displays::default();
    for line in table.lines().skip(1) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, _, _, flags, _, _, inode, name] = words[..] else { continue };
        let (Ok(flags), Ok(inode)) = (u32::from_str_radix(flags, 16), inode.parse::<u64>()) else { continue };
        if flags & LISTENS == 0 {
            continue;
        }
        if let Some(number) = name.trim_start_matches('@').strip_prefix("/tmp/.X11-unix/X") {
            displays.x11.extend(number.parse().ok().map(|number| (inode, number)));
        }
        let file = name.rsplit('/').next().and_then(|file| file.strip_prefix("wayland-"));
        displays.wayland |= file.is_some_and(|number| number.parse::<u32>().is_ok());
    }
    displays
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of Debian 12 with GNOME on Wayland, an Xorg on a second seat and a client of it.
    const TABLE: &str = "Num       RefCount Protocol Flags    Type St Inode Path
0000000012e2e1f5: 00000002 00000000 00010000 0001 01 22021 @/tmp/.X11-unix/X1
000000005f0ca2e4: 00000002 00000000 00010000 0001 01 22022 /tmp/.X11-unix/X1
00000000b2f4a1c0: 00000003 00000000 00000000 0001 03 22310 @/tmp/.X11-unix/X1
00000000aa3c3b50: 00000002 00000000 00010000 0001 01 25155 /run/user/1000/wayland-0
00000000f9c6ae7a: 00000003 00000000 00000000 0001 03 89000
";

    #[test]
    fn displays_are_sockets_that_listen() {
        let expected = Displays { x11: [(22_021, 1), (22_022, 1)].into(), wayland: true };
        assert_eq!(displays(TABLE), expected);
        let others = TABLE.replace("wayland-0", "wayland-0.lock").replace("X1", "X1x");
        assert_eq!(displays(&others), Displays::default());
    }

    proptest! {
        #[test]
        fn tables_of_any_kind_never_panic_and_hide_nothing_behind_them(
            junk in "([0-9a-f]{1,16}: ([0-9a-f]{0,9} ){0,6}[0-9]{0,30} [@/]?\\PC{0,40}\n|\\PC{0,80}\n){0,20}", cut in 0usize..700,
        ) {
            let text = format!("x\n{junk}\n{TABLE}");
            let found = displays(&text);
            prop_assert!(found.wayland && found.x11.get(&22_021) == Some(&1));
            prop_assert!(found.x11.len() <= text.lines().count());
            let cut: String = text.chars().take(cut).collect();
            let _ = displays(&cut);
        }
    }
}
