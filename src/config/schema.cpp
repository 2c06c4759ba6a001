// The fields as a JSON Schema: editors complete and check a configuration with it.
#include "esmscale/config/config.h"

#include <cmath>

#include <nlohmann/json.hpp>

namespace esmscale::config {
namespace {

Json schema_of(const Field& field) {
  static constexpr const char* types[] = {"integer", "number", "boolean", "string",
                                          "array",   "string", "array"};
  Json schema{{"type", types[field.home.index()]}, {"description", field.help}};
  if (!field.units.empty()) schema["description"] = field.help + " [" + field.units + "]";
  schema["default"] = value_of(field);
  if (!field.choices.empty()) schema["enum"] = field.choices;
  Json bounds = Json::object();
  if (std::isfinite(field.minimum)) bounds["minimum"] = field.minimum;
  if (std::isfinite(field.maximum)) bounds["maximum"] = field.maximum;
  if (std::holds_alternative<std::vector<std::string>*>(field.home)) {
    schema["items"] = Json{{"type", "string"}};
  } else if (schema["type"] == "array") {
    bounds["type"] = "number";
    schema.update({{"items", bounds}, {"minItems", 2}, {"maxItems", 2}});
  } else {
    schema.update(bounds);
  }
  return schema;
}

}  // namespace

Json schema() {
  RunConfig defaults;
  Json root{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
            {"title", "esmscale run configuration"},
            {"type", "object"},
            {"additionalProperties", false}};
  root["properties"]["$schema"] = Json{{"type", "string"}};
  for (const Field& field : fields(defaults)) {
    Json* group = &root;
    size_t begin = 0;
    for (size_t dot; (dot = field.path.find('.', begin)) != std::string::npos; begin = dot + 1) {
      group = &(*group)["properties"][field.path.substr(begin, dot - begin)];
      (*group)["type"] = "object";
      (*group)["additionalProperties"] = false;
    }
    (*group)["properties"][field.path.substr(begin)] = schema_of(field);
  }
  return root;
}

}  // namespace esmscale::config
