#ifndef SWIFTNET_H
#define SWIFTNET_H
#include <stdint.h>
int32_t sn_abi_version(void);
#endif
