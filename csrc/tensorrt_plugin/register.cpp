// Loading the library registers the plugin creator with TensorRT.
#include "au_gcn_creator.h"

namespace faceaffect {

REGISTER_TENSORRT_PLUGIN(AuGraphCreator);

}  // namespace faceaffect
