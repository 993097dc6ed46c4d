#include "workspace.h"

#include <cstdlib>
#include <new>

namespace faceaffect {

namespace {
constexpr size_t kAlign = 64;
}

uint8_t* Workspace::reserve(int slot, size_t size) {
  if (size > size_[slot] || memory_[slot] == nullptr) {
    std::free(memory_[slot]);
    size_[slot] = 0;
    memory_[slot] = static_cast<uint8_t*>(std::malloc(size + kAlign));
    if (memory_[slot] == nullptr) throw std::bad_alloc();
    size_[slot] = size;
  }
  const uintptr_t address = reinterpret_cast<uintptr_t>(memory_[slot]);
  return memory_[slot] + (kAlign - address % kAlign) % kAlign;
}

Workspace::~Workspace() {
  for (uint8_t* memory : memory_) std::free(memory);
}

Workspace& thread_workspace() {
  thread_local Workspace workspace;
  return workspace;
}

}  // namespace faceaffect
