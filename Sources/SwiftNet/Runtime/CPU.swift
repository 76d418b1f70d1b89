import CIntrinsics
import KernelTypes
import Kernels

#if SN_X86_VARIANTS
  import KernelsBF16
  import KernelsV3
  import KernelsV4
#endif

/// The processor and the kernels chosen for it.
public enum CPU {
  /// The instruction sets whose kernels this machine can run, slowest first.
  public static let available: [String] = {
    var names = ["baseline"]
    #if SN_X86_VARIANTS
      let features = sn_cpu_features()
      if features & Int32(SN_CPU_AVX2_FMA.rawValue) != 0 { names.append("avx2") }
      if features & Int32(SN_CPU_AVX512.rawValue) != 0 { names.append("avx512") }
      if hasBFloat16Dot { names.append("avx512_bf16") }
    #endif
    return names
  }()

  public static let hasBFloat16Dot: Bool =
    sn_cpu_features() & Int32(SN_CPU_AVX512_BF16.rawValue) != 0

  /// The kernels in use: the best ones available, or what the environment variable SWIFTNET_ISA names
  /// (baseline, avx2, avx512 or avx512_bf16) where this machine has it.
  public static let kernels: KernelTable = kernelTable(named: chosen)

  /// The name of the instruction set in use.
  public static let chosen: String = {
    if let wanted = environment("SWIFTNET_ISA"), available.contains(wanted) { return wanted }
    return available[available.count - 1]
  }()

  /// The kernels of one instruction set, for tests that compare them. The name must be one of `available`.
  public static func kernelTable(named name: String) -> KernelTable {
    #if SN_X86_VARIANTS
      if name == "avx512_bf16" {
        let table = KernelsV4.makeKernelTable()
        let pairs = KernelsBF16.makePairKernels()
        pairs.gatherRows = table.gemm.f32.gatherRows
        table.gemm.bf16 = pairs
        return table
      }
      if name == "avx512" { return KernelsV4.makeKernelTable() }
      if name == "avx2" { return KernelsV3.makeKernelTable() }
    #endif
    return Kernels.makeKernelTable()
  }
}

/// Shorthand used by every operation.
let kernels = CPU.kernels
