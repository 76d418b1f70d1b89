import CSwiftNet
import SwiftNet

@c(sn_measure_peak) @implementation
public func sn_measure_peak() -> Double { Peak.multiplyAddRate() }
