//! What is the case at a laptop for a while: small, so that a hundred thousand of them fit, and enough to compute
//! every fact from.

use super::places::Place;

/// Programs of note that one laptop has at most.
pub const TOOLS: usize = 7;

/// All of it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "independent things that are or are not")]
pub struct Situation {
    /// How it is connected; `None`: not at all.
    pub link: Option<Link>,
    /// Tunnels.
    pub vpn: Vpn,
    /// What is plugged in.
    pub desk: Desk,
    /// Programs of note.
    pub tools: [Tool; TOOLS],
    /// On mains.
    pub mains: bool,
    /// Lid closed.
    pub lid_closed: bool,
    /// Set never to sleep.
    pub never_sleeps: bool,
    /// Screen locked.
    pub locked: bool,
    /// A session over the network is open beside the console's.
    pub remote_session: bool,
    /// Day of the last start.
    pub booted: i32,
    /// The input sensor is blind.
    pub blind: bool,
}

/// A connection to a place's network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Where.
    pub place: Place,
    /// How.
    pub medium: Medium,
    /// Which of the place's routers, one after the other.
    pub router: i32,
    /// Whose passing neighbours are heard; 0 where none are said.
    pub near: i32,
}

/// How a link is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// A cable.
    Cable,
    /// Wi-Fi.
    Wifi,
}

/// Tunnels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Vpn {
    /// The company's, with all traffic.
    pub company: bool,
    /// The exit of a private one, from 1; 0 is none.
    pub private: u32,
    /// The private one runs in a travel router, so the laptop does not know of it.
    pub in_router: bool,
    /// A mesh network of one's own.
    pub overlay: bool,
}

/// What is plugged in. Things have numbers, from 1; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Desk {
    /// A dock.
    pub dock: u32,
    /// A monitor.
    pub screen: u32,
    /// A mouse or a keyboard on USB.
    pub usb_input: u32,
    /// A Bluetooth mouse.
    pub bluetooth: u32,
    /// A 480 Mb/s thing that is HID among others: a webcam, a headset.
    pub fast_hid: u32,
    /// An IP-KVM or what looks like one, and its number.
    pub kvm: Option<(Kvm, u32)>,
    /// A jiggler on USB.
    pub jiggler: bool,
    /// A plug that feigns a screen.
    pub dummy_plug: bool,
}

/// Kinds of IP-KVMs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kvm {
    /// A PiKVM as it comes.
    Default,
    /// Under a Logitech receiver's name, descriptors and speed its own.
    Disguised,
    /// A 12 Mb/s copy of a real receiver with a relative mouse, and a real monitor's EDID.
    Adapted,
    /// Keyboard and mouse of a Bluetooth dongle, under a real keyboard's name, and a real monitor's EDID.
    Bluetooth,
    /// A switch between two computers, without network.
    Switch,
}

/// A program of note: its number in the table of tools, what it does, and its account.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tool {
    /// Number in [`super::tools::TOOLS`], from 1; 0 is none.
    pub entry: u8,
    /// What it does.
    pub use_: Use,
    /// Number of its account; 0 is none.
    pub account: u32,
}

/// What a program does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// It is installed.
    #[default]
    Installed,
    /// It runs.
    Running,
    /// It waits for a far end.
    Serving,
    /// Somebody is connected.
    Session,
}

impl Situation {
    /// Adds a program, or changes what it does. With as many others as there may be it is left out.
    pub fn set_tool(&mut self, tool: u8, use_: Use, account: u32) {
        let known = self.tools.iter().position(|t| t.entry == tool);
        let slot = known.or_else(|| self.tools.iter().position(|t| t.entry == 0));
        if let Some(slot) = slot {
            self.tools[slot] = Tool { entry: tool, use_, account };
        }
    }

    /// Something stands that an agent's catalogues name, so that it says more: a stand-in for the agent's own look,
    /// alike for farms and everybody else. Assumption.
    pub fn says_more(&self) -> bool {
        let tool = |t: &Tool| t.entry != 0 && t.use_ > Use::Installed && super::tools::is_of_note(t.entry);
        self.tools.iter().any(tool)
            || self.desk.jiggler
            || matches!(self.desk.kvm, Some((Kvm::Default | Kvm::Disguised, _)))
    }
}
