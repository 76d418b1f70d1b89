import CSwiftNet
import SwiftNet

@c(sn_abi_version) @implementation
public func sn_abi_version() -> Int32 { 1 }
