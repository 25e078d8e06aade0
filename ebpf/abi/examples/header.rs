//! Prints the C header `ebpf/steer/abi.h`.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "its output is the header")]

fn main() {
    print!("{}", abi::c_header());
}
