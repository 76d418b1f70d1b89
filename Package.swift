// swift-tools-version: 6.2
import PackageDescription

#if canImport(Glibc)
  import Glibc
#endif

// SWIFTNET_PORTABLE=1 leaves out every unsafe flag: slower, but usable as a versioned dependency.
let portable = Context.environment["SWIFTNET_PORTABLE"] == "1"

/// Flags of one build of the kernels. The same sources are compiled once per instruction set.
func kernelSettings(march: String? = nil, features: [String] = [], defines: [String] = []) -> [SwiftSetting] {
  // Nobody asks a kernel for the names of its fields.
  var flags = ["-Ounchecked", "-Xfrontend", "-disable-reflection-metadata"]
  if let march { flags += ["-Xcc", "-march=\(march)"] }
  for feature in features { flags += ["-Xcc", "-m\(feature)"] }
  return defines.map { .define($0) } + (portable ? [] : [.unsafeFlags(flags)])
}

var kernelTargets: [Target] = [
  .target(
    name: "Kernels", dependencies: ["KernelTypes", "CIntrinsics"], swiftSettings: kernelSettings())
]
var kernelNames: [Target.Dependency] = ["Kernels"]
#if arch(x86_64)
  if !portable {
    kernelTargets += [
      .target(
        name: "KernelsV3", dependencies: ["KernelTypes", "CIntrinsics"],
        swiftSettings: kernelSettings(march: "x86-64-v3", defines: ["SN_FMA", "SN_V3"])),
      .target(
        name: "KernelsV4", dependencies: ["KernelTypes", "CIntrinsics"],
        swiftSettings: kernelSettings(march: "x86-64-v4", defines: ["SN_FMA", "SN_V4"])),
      // Links to the sources of the products alone, on pairs of bfloat16.
      .target(
        name: "KernelsBF16", dependencies: ["KernelTypes", "CIntrinsics", "CBFloat16"],
        swiftSettings: kernelSettings(
          march: "x86-64-v4", features: ["avx512bf16"], defines: ["SN_FMA", "SN_V4"])),
      .target(name: "CBFloat16"),
    ]
    kernelNames += ["KernelsV3", "KernelsV4", "KernelsBF16"]
  }
#endif
let dispatchDefines: [SwiftSetting] = kernelNames.count == 4 ? [.define("SN_X86_VARIANTS")] : []

// The library carries Swift's runtime in itself, so that it runs where no Swift is installed. Only what contains
// SwiftNetABI is linked so: the tests use XCTest, which brings the runtime as libraries.
// SWIFTNET_SYMBOLS=1 keeps the names of functions, for a profiler.
let keepsSymbols = Context.environment["SWIFTNET_SYMBOLS"] == "1"
// Exported is what the header declares, nothing of Swift's runtime: it is smaller, and another library's runtime in the
// same process is none of its business.
var librarySize = [
  "-use-ld=lld", "-Xlinker", "--version-script=\(Context.packageDirectory)/Sources/SwiftNetABI/exports.map",
  // Functions of the same instructions once. (Nobody here compares addresses of functions.)
  "-Xlinker", "--icf=all",
]
if !keepsSymbols {
  // A profiler also wants the tables for unwinding the stack, a megabyte that nothing else reads.
  librarySize += [
    "-Xlinker", "-s", "-Xlinker", "--no-eh-frame-hdr",
    "-Xlinker", "-T", "-Xlinker", "\(Context.packageDirectory)/Sources/SwiftNetABI/sections.ld",
  ]
}
#if canImport(Glibc)
  // Half a megabyte less. Older systems cannot load it; what is built on one of them runs on both.
  var libc = [CChar](repeating: 0, count: 64)
  confstr(Int32(_CS_GNU_LIBC_VERSION), &libc, libc.count)
  if atof(Array(libc.dropFirst("glibc ".count))) >= 2.36 {
    librarySize += ["-Xlinker", "-z", "-Xlinker", "pack-relative-relocs"]
  }
#endif
let libraryLinkerSettings: [LinkerSetting] =
  portable ? [] : [.unsafeFlags(["-static-stdlib"] + librarySize, .when(platforms: [.linux]))]

/// Exclusivity is a property of the sources, checked in debug builds; checking it at run time costs a fifth of a small
/// operation. Nobody prints a case of these targets' enumerations by its name in the source (those of KernelTypes are).
let librarySettings: [SwiftSetting] =
  portable
  ? [] : [.unsafeFlags(["-enforce-exclusivity=unchecked", "-Xfrontend", "-disable-reflection-metadata"])]

let package = Package(
  name: "swiftnet",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "SwiftNet", targets: ["SwiftNet"]),
    .library(name: "swiftnet", type: .dynamic, targets: ["SwiftNetABI"]),
  ],
  targets: [
    .target(name: "CIntrinsics"),
    .target(name: "KernelTypes"),
  ] + kernelTargets + [
    .target(
      name: "SwiftNet", dependencies: ["KernelTypes", "CIntrinsics"] + kernelNames,
      swiftSettings: dispatchDefines + librarySettings),
    .target(name: "CSwiftNet"),
    .target(
      name: "SwiftNetABI", dependencies: ["SwiftNet", "CSwiftNet"], exclude: ["exports.map", "sections.ld"],
      swiftSettings: librarySettings,
      linkerSettings: libraryLinkerSettings),
    .testTarget(
      name: "KernelsTests", dependencies: ["SwiftNet", "KernelTypes"] + kernelNames,
      swiftSettings: dispatchDefines),
    .executableTarget(name: "DeepSupervision", dependencies: ["SwiftNet"], path: "examples/DeepSupervision"),
    .testTarget(name: "SwiftNetTests", dependencies: ["SwiftNet"]),
  ],
  swiftLanguageModes: [.v5]
)
