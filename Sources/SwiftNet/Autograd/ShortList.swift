/// A list that hardly ever has more than two elements: those need no memory of their own. A node of the graph has three
/// such lists, and recording an operation on few elements costs about as much as the memory that it asks for.
public struct ShortList<Element>: RandomAccessCollection, ExpressibleByArrayLiteral {
  private var first: Element?
  private var second: Element?
  private var rest: [Element] = []
  public private(set) var count = 0

  public init() {}

  init(_ element: Element) {
    first = element
    count = 1
  }

  init(_ elements: some Sequence<Element>) { for element in elements { append(element) } }

  public init(arrayLiteral elements: Element...) { self.init(elements) }

  public var startIndex: Int { 0 }
  public var endIndex: Int { count }

  mutating func append(_ element: Element) {
    switch count {
    case 0: first = element
    case 1: second = element
    default: rest.append(element)
    }
    count += 1
  }

  /// As of any collection, but without a copy of the list.
  @inline(__always)
  public func allSatisfy(_ condition: (Element) throws -> Bool) rethrows -> Bool {
    if let first, !(try condition(first)) { return false }
    if let second, !(try condition(second)) { return false }
    return rest.isEmpty ? true : try rest.allSatisfy(condition)
  }

  public internal(set) subscript(index: Int) -> Element {
    get {
      if index == 0, let first { return first }
      if index == 1, let second { return second }
      return rest[index - 2]
    }
    set {
      if index == 0, first != nil {
        first = newValue
      } else if index == 1, second != nil {
        second = newValue
      } else {
        rest[index - 2] = newValue
      }
    }
  }
}
