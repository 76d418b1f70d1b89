// The header is all there is: SwiftNetABI implements it.
#include "swiftnet.h"
