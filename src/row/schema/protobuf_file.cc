/*
 * libprotobuf's parser and its pool of descriptors with a C interface. No exception leaves it:
 * nobody catches any, so that one ends the process where it is thrown. One thread per file.
 */
extern "C" {
#include "row/schema/protobuf_file.h"
}

#include <cstdio>
#include <cstring>
#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace pb = google::protobuf;

static_assert(PROTOBUF_DOUBLE == static_cast<int>(pb::FieldDescriptor::TYPE_DOUBLE) &&
                  PROTOBUF_STRING == static_cast<int>(pb::FieldDescriptor::TYPE_STRING) &&
                  PROTOBUF_TYPE_END == static_cast<int>(pb::FieldDescriptor::MAX_TYPE) + 1,
              "the types have libprotobuf's numbers");

namespace
{

/* What libprotobuf has said against a file; the first complaint is the one that counts. */
class Faults : public pb::io::ErrorCollector, public pb::DescriptorPool::ErrorCollector
{
  public:
    explicit Faults(std::string file) : file_(std::move(file))
    {
    }

    void AddError(int line, pb::io::ColumnNumber column, const std::string &text) override
    {
        add(file_ + ", line " + std::to_string(line + 1) + ", column " +
            std::to_string(column + 1) + ": " + text);
    }

    void AddError(const std::string &, const std::string &element, const pb::Message *,
                  ErrorLocation, const std::string &text) override
    {
        add(file_ + ", " + element + ": " + text);
    }

    void AddWarning(int, pb::io::ColumnNumber, const std::string &) override
    {
    }
    void AddWarning(const std::string &, const std::string &, const pb::Message *, ErrorLocation,
                    const std::string &) override
    {
    }

    void complain(const std::string &text)
    {
        add(file_ + ": " + text);
    }

    void add(const std::string &text)
    {
        if (text_.empty()) {
            text_ = text;
        }
    }

    const std::string &text() const
    {
        return text_;
    }

  private:
    std::string file_;
    std::string text_;
};

/* What an edition's features say of a file or a field; 0: nothing. */
struct Features {
    enum Presence { SAYS_NOTHING, EXPLICIT, IMPLICIT, REQUIRED } presence = SAYS_NOTHING;
    enum Utf8 { UTF8_SAYS_NOTHING, VERIFY, LOOSE } utf8 = UTF8_SAYS_NOTHING;
};

/* A file on its way into the pool. */
struct Source {
    pb::FileDescriptorProto proto;
    std::set<std::string> loose; /* full names of strings that need not be UTF-8 */
    bool is_built = false;
};

/* ---- editions ---- */

/* Skips white space and comments. */
const char *skip_blank(const char *p, const char *end)
{
    for (;;) {
        while (p < end && std::strchr(" \t\r\n\v\f", *p) != nullptr && *p != '\0') {
            p++;
        }
        if (end - p >= 2 && p[0] == '/' && p[1] == '/') {
            while (p < end && *p != '\n') {
                p++;
            }
        } else if (end - p >= 2 && p[0] == '/' && p[1] == '*') {
            p += 2;
            while (end - p >= 2 && (p[0] != '*' || p[1] != '/')) {
                p++;
            }
            p = end - p >= 2 ? p + 2 : end;
        } else {
            return p;
        }
    }
}

/*
 * `edition = "2023"` at the start of a text, which this libprotobuf does not know, becomes `syntax
 * = "proto3"`, which has the same grammar. Returns the edition, empty if the text has none.
 */
std::string replace_edition(std::string *text)
{
    const char *begin = text->data();
    const char *end = begin + text->size();
    const char *word = skip_blank(begin, end);

    if (end - word < 7 || std::memcmp(word, "edition", 7) != 0) {
        return "";
    }
    const char *p = skip_blank(word + 7, end);
    if (p == end || *p != '=') {
        return "";
    }
    p = skip_blank(p + 1, end);
    if (p == end || (*p != '"' && *p != '\'')) {
        return "";
    }
    const char *close = static_cast<const char *>(
        std::memchr(p + 1, *p, static_cast<size_t>(end - p - 1)));
    if (close == nullptr) {
        return "";
    }
    std::string edition(p + 1, close);
    text->replace(static_cast<size_t>(word - begin), static_cast<size_t>(close + 1 - word),
                  "syntax = \"proto3\"");
    return edition;
}

/* What the uninterpreted options say; false: a feature that changes the wire in a way that is not
 * read here. */
template <class Options> bool read_features(const Options &options, Features *out, Faults *faults)
{
    for (const pb::UninterpretedOption &o : options.uninterpreted_option()) {
        if (o.name_size() == 0 || o.name(0).is_extension() || o.name(0).name_part() != "features") {
            continue;
        }
        if (o.name_size() < 2) {
            faults->complain(
                "\"features = {...}\" is not read: write features.field_presence = ...");
            return false;
        }
        const std::string &name = o.name(1).name_part();
        const std::string &value = o.identifier_value();
        if (name == "field_presence") {
            out->presence = value == "IMPLICIT"          ? Features::IMPLICIT
                            : value == "LEGACY_REQUIRED" ? Features::REQUIRED
                                                         : Features::EXPLICIT;
        } else if (name == "utf8_validation") {
            out->utf8 = value == "NONE" ? Features::LOOSE : Features::VERIFY;
        } else if (value == "CLOSED" || value == "DELIMITED") {
            std::string what = "features.";
            what.append(name).append(" = ").append(value).append(" is not read");
            faults->complain(what);
            return false;
        }
    }
    return true;
}

/* ---- before the pool sees it ---- */

/* One oneof of its own, as the compiler makes it for `optional`. */
void make_optional(pb::DescriptorProto *m, pb::FieldDescriptorProto *f)
{
    f->set_proto3_optional(true);
    f->set_oneof_index(m->oneof_decl_size());
    m->add_oneof_decl()->set_name("_" + f->name());
}

/* Leaves of a file what counts on the wire, and what the pool can check. */
class Cleaner
{
  public:
    Cleaner(Source *source, bool is_edition, Faults *faults)
        : source_(source), is_edition_(is_edition), faults_(faults)
    {
    }

    bool file();

  private:
    bool message(pb::DescriptorProto *m, const std::string &scope);
    bool field(pb::DescriptorProto *m, pb::FieldDescriptorProto *f, bool is_map_entry,
               const std::string &scope);
    bool enumeration(pb::EnumDescriptorProto *e, const std::string &scope);
    bool short_enough(const std::string &scope, const std::string &name);

    Source *source_;
    static const size_t NAME_MAX_BYTES = 4096;
    bool is_edition_;
    bool is_loose_ = false;
    Features features_;
    Faults *faults_;
};

bool Cleaner::file()
{
    pb::FileDescriptorProto *f = &source_->proto;

    if (is_edition_ && !read_features(f->options(), &features_, faults_)) {
        return false;
    }
    is_loose_ = !is_edition_ && f->syntax() != "proto3";
    if (!short_enough("", f->package())) {
        return false;
    }
    const std::string package = f->package().empty() ? "" : f->package() + ".";
    f->clear_options();
    f->clear_service();
    f->clear_extension();
    f->clear_source_code_info();
    for (pb::DescriptorProto &m : *f->mutable_message_type()) {
        if (!message(&m, package)) {
            return false;
        }
    }
    for (pb::EnumDescriptorProto &e : *f->mutable_enum_type()) {
        if (!enumeration(&e, package)) {
            return false;
        }
    }
    return true;
}

/* Every name in a scope is kept with the whole of it: a long one would be kept very often. */
bool Cleaner::short_enough(const std::string &scope, const std::string &name)
{
    if (scope.size() + name.size() <= NAME_MAX_BYTES) {
        return true;
    }
    faults_->complain("a full name has more than " + std::to_string(NAME_MAX_BYTES) + " bytes");
    return false;
}

bool Cleaner::message(pb::DescriptorProto *m, const std::string &scope)
{
    if (!short_enough(scope, m->name())) {
        return false;
    }
    const std::string name = scope + m->name() + ".";
    const bool is_map_entry = m->options().map_entry();

    m->clear_options();
    if (is_map_entry) {
        m->mutable_options()->set_map_entry(true);
    }
    m->clear_extension();
    /* They are nothing on the wire, and the pool compares each range with each. */
    m->clear_extension_range();
    m->clear_reserved_range();
    m->clear_reserved_name();
    for (pb::OneofDescriptorProto &o : *m->mutable_oneof_decl()) {
        if (!short_enough(name, o.name())) {
            return false;
        }
        o.clear_options();
    }
    for (pb::FieldDescriptorProto &f : *m->mutable_field()) {
        if (!field(m, &f, is_map_entry, name)) {
            return false;
        }
    }
    for (pb::DescriptorProto &inner : *m->mutable_nested_type()) {
        if (!message(&inner, name)) {
            return false;
        }
    }
    for (pb::EnumDescriptorProto &e : *m->mutable_enum_type()) {
        if (!enumeration(&e, name)) {
            return false;
        }
    }
    return true;
}

bool Cleaner::field(pb::DescriptorProto *m, pb::FieldDescriptorProto *f, bool is_map_entry,
                    const std::string &scope)
{
    Features its;

    if (!short_enough(scope, f->name())) {
        return false;
    }
    if (is_edition_ && !read_features(f->options(), &its, faults_)) {
        return false;
    }
    f->clear_options();
    f->clear_json_name();
    Features::Utf8 utf8 = its.utf8 != Features::UTF8_SAYS_NOTHING ? its.utf8 : features_.utf8;
    if (is_loose_ || utf8 == Features::LOOSE) {
        source_->loose.insert(scope + f->name());
    }
    Features::Presence presence = its.presence != Features::SAYS_NOTHING ? its.presence
                                                                         : features_.presence;
    if (is_edition_ && !is_map_entry && presence != Features::IMPLICIT &&
        f->label() != pb::FieldDescriptorProto::LABEL_REPEATED && !f->has_oneof_index() &&
        !f->proto3_optional()) {
        make_optional(m, f);
    }
    return true;
}

bool Cleaner::enumeration(pb::EnumDescriptorProto *e, const std::string &scope)
{
    Features ignored;
    std::set<int32_t> numbers;

    if (!short_enough(scope, e->name())) {
        return false;
    }
    if (is_edition_ && !read_features(e->options(), &ignored, faults_)) {
        return false;
    }
    e->clear_options();
    e->clear_reserved_range();
    e->clear_reserved_name();
    for (pb::EnumValueDescriptorProto &v : *e->mutable_value()) {
        v.clear_options();
        if (!short_enough(scope, v.name())) {
            return false;
        }
        if (!numbers.insert(v.number()).second) {
            e->mutable_options()->set_allow_alias(true);
        }
    }
    return true;
}

bool parse_text(std::string text, Source *out, bool *out_edition, Faults *faults)
{
    const std::string edition = replace_edition(&text);

    if (!edition.empty() && edition != "2023") {
        faults->complain("edition " + edition +
                         " is not read: edition 2023, proto3 and proto2 are");
        return false;
    }
    *out_edition = !edition.empty();
    pb::io::ArrayInputStream stream(text.data(), static_cast<int>(text.size()));
    pb::io::Tokenizer tokens(&stream, faults);
    pb::compiler::Parser parser;
    parser.RecordErrorsTo(faults);
    return parser.Parse(&tokens, &out->proto) && faults->text().empty();
}

bool read_text(const protobuf_text &t, Source *out, Faults *faults)
{
    bool is_edition = false;

    if (t.is_descriptor) {
        if (!out->proto.ParseFromArray(t.p, static_cast<int>(t.n))) {
            faults->complain("it is no file descriptor");
            return false;
        }
        if (out->proto.syntax() == "editions") {
            faults->complain("the descriptor is one of an edition, which is only read as text");
            return false;
        }
    } else if (!parse_text(std::string(t.p, t.n), out, &is_edition, faults)) {
        return false;
    }
    out->proto.set_name(t.name);
    return Cleaner(out, is_edition, faults).file();
}

/* ---- files that everybody has ---- */

/* The types of google/type and confluent/type, by their numbers on the wire. */
struct Known {
    const char *name;
    const char *text; /* without syntax and package */
};

const Known known[] = {
    {"google/type/calendar_period.proto",
     "enum CalendarPeriod { CALENDAR_PERIOD_UNSPECIFIED = 0; DAY = 1; WEEK = 2; FORTNIGHT = 3;"
     "  MONTH = 4; QUARTER = 5; HALF = 6; YEAR = 7; }"},
    {"google/type/color.proto", "import 'google/protobuf/wrappers.proto';"
                                "message Color { float red = 1; float green = 2; float blue = 3;"
                                "  google.protobuf.FloatValue alpha = 4; }"},
    {"google/type/date.proto", "message Date { int32 year = 1; int32 month = 2; int32 day = 3; }"},
    {"google/type/datetime.proto",
     "import 'google/protobuf/duration.proto';"
     "message DateTime { int32 year = 1; int32 month = 2; int32 day = 3; int32 hours = 4;"
     "  int32 minutes = 5; int32 seconds = 6; int32 nanos = 7;"
     "  oneof time_offset { google.protobuf.Duration utc_offset = 8; TimeZone time_zone = 9; } }"
     "message TimeZone { string id = 1; string version = 2; }"},
    {"google/type/dayofweek.proto",
     "enum DayOfWeek { DAY_OF_WEEK_UNSPECIFIED = 0; MONDAY = 1; TUESDAY = 2; WEDNESDAY = 3;"
     "  THURSDAY = 4; FRIDAY = 5; SATURDAY = 6; SUNDAY = 7; }"},
    {"google/type/decimal.proto", "message Decimal { string value = 1; }"},
    {"google/type/expr.proto", "message Expr { string expression = 1; string title = 2;"
                               "  string description = 3; string location = 4; }"},
    {"google/type/fraction.proto",
     "message Fraction { int64 numerator = 1; int64 denominator = 2; }"},
    {"google/type/interval.proto", "import 'google/protobuf/timestamp.proto';"
                                   "message Interval { google.protobuf.Timestamp start_time = 1;"
                                   "  google.protobuf.Timestamp end_time = 2; }"},
    {"google/type/latlng.proto", "message LatLng { double latitude = 1; double longitude = 2; }"},
    {"google/type/localized_text.proto",
     "message LocalizedText { string text = 1; string language_code = 2; }"},
    {"google/type/money.proto",
     "message Money { string currency_code = 1; int64 units = 2; int32 nanos = 3; }"},
    {"google/type/month.proto",
     "enum Month { MONTH_UNSPECIFIED = 0; JANUARY = 1; FEBRUARY = 2; MARCH = 3; APRIL = 4;"
     "  MAY = 5; JUNE = 6; JULY = 7; AUGUST = 8; SEPTEMBER = 9; OCTOBER = 10; NOVEMBER = 11;"
     "  DECEMBER = 12; }"},
    {"google/type/phone_number.proto",
     "message PhoneNumber { oneof kind { string e164_number = 1; ShortCode short_code = 2; }"
     "  string extension = 3;"
     "  message ShortCode { string region_code = 1; string number = 2; } }"},
    {"google/type/postal_address.proto",
     "message PostalAddress { int32 revision = 1; string region_code = 2;"
     "  string language_code = 3; string postal_code = 4; string sorting_code = 5;"
     "  string administrative_area = 6; string locality = 7; string sublocality = 8;"
     "  repeated string address_lines = 9; repeated string recipients = 10;"
     "  string organization = 11; }"},
    {"google/type/quaternion.proto",
     "message Quaternion { double x = 1; double y = 2; double z = 3; double w = 4; }"},
    {"google/type/timeofday.proto",
     "message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3;"
     "  int32 nanos = 4; }"},
    {"confluent/type/decimal.proto",
     "message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }"},
    {"confluent/type/variant.proto", "message Variant { bytes metadata = 1; bytes value = 2; }"},
};

/* A file that came with libprotobuf or is known here; else an empty one. */
void read_known(const std::string &name, Source *out, Faults *faults)
{
    const pb::FileDescriptor *linked = pb::DescriptorPool::generated_pool()->FindFileByName(name);
    bool ignored;

    if (linked != nullptr) {
        linked->CopyTo(&out->proto);
    }
    for (const Known &k : known) {
        if (name == k.name) {
            const std::string package = name.substr(0, name.rfind('/')) == "google/type"
                                            ? "google.type"
                                            : "confluent.type";
            parse_text("syntax = 'proto3'; package " + package + ";" + k.text, out, &ignored,
                       faults);
        }
    }
    out->proto.set_name(name);
    Cleaner(out, false, faults).file();
}

/* ---- the pool ---- */

class Builder
{
  public:
    Builder(pb::DescriptorPool *pool, Faults *faults) : pool_(pool), faults_(faults)
    {
    }

    /* False: it is not what it should be. Of two of one name the first counts. */
    bool add(const protobuf_text &t)
    {
        auto added = sources_.emplace(t.name, nullptr);
        if (!added.second) {
            return true;
        }
        added.first->second = std::make_unique<Source>();
        Faults its(t.name);
        bool ok = read_text(t, added.first->second.get(), &its);
        faults_->add(its.text());
        return ok;
    }

    /* With what it imports, which comes first. */
    const pb::FileDescriptor *build(const std::string &name, int depth)
    {
        std::unique_ptr<Source> &source = sources_[name];

        if (depth > IMPORTS_MAX) {
            faults_->add("imports are nested deeper than " + std::to_string(IMPORTS_MAX) +
                         " files");
            return nullptr;
        }
        if (source == nullptr) {
            source = std::make_unique<Source>();
            read_known(name, source.get(), faults_);
        }
        if (source->is_built) { /* or being built: libprotobuf reports the circle */
            return pool_->FindFileByName(name);
        }
        source->is_built = true;
        for (const std::string &import : source->proto.dependency()) {
            if (build(import, depth + 1) == nullptr && !faults_->text().empty()) {
                return nullptr;
            }
        }
        Faults its(name);
        const pb::FileDescriptor *built = pool_->BuildFileCollectingErrors(source->proto, &its);
        faults_->add(its.text());
        return built;
    }

    bool is_loose(const pb::FieldDescriptor *f)
    {
        return sources_[f->file()->name()]->loose.count(f->full_name()) != 0;
    }

  private:
    static const int IMPORTS_MAX = 64;
    pb::DescriptorPool *pool_;
    Faults *faults_;
    std::map<std::string, std::unique_ptr<Source>> sources_;
};

} /* namespace */

/* The lists, and the pool in which their names are. */
struct lists : protobuf_file {
    pb::DescriptorPool pool;
    std::vector<protobuf_message> all_messages;
    std::vector<protobuf_enum> all_enums;
    std::vector<protobuf_field> all_fields;
    std::vector<protobuf_value> all_values;
    std::vector<uint32_t> all_places;
    std::vector<const pb::Descriptor *> of_message; /* which one messages[i] is */
    std::map<const pb::Descriptor *, uint32_t> message_numbers;
    std::map<const pb::EnumDescriptor *, uint32_t> enum_numbers;
};

static uint32_t message_number(lists *l, const pb::Descriptor *m)
{
    auto added = l->message_numbers.emplace(m, static_cast<uint32_t>(l->of_message.size()));

    if (added.second) {
        l->of_message.push_back(m);
    }
    return added.first->second;
}

static uint32_t enum_number(lists *l, const pb::EnumDescriptor *e)
{
    auto added = l->enum_numbers.emplace(e, static_cast<uint32_t>(l->all_enums.size()));

    if (added.second) {
        l->all_enums.push_back({e->full_name().c_str(), static_cast<uint32_t>(l->all_values.size()),
                                static_cast<uint32_t>(e->value_count())});
        for (int i = 0; i < e->value_count(); i++) {
            l->all_values.push_back({e->value(i)->name().c_str(), e->value(i)->number()});
        }
    }
    return added.first->second;
}

static void list_field(lists *l, Builder *builder, const pb::FieldDescriptor *f)
{
    protobuf_field field;

    field.name = f->name().c_str();
    field.type = static_cast<protobuf_type>(f->type());
    field.number = f->number();
    field.target = PROTOBUF_NONE;
    if (f->message_type() != nullptr) {
        field.target = message_number(l, f->message_type());
    } else if (f->enum_type() != nullptr) {
        field.target = enum_number(l, f->enum_type());
    }
    field.oneof = f->real_containing_oneof() != nullptr ? f->real_containing_oneof()->index() : -1;
    field.is_repeated = f->is_repeated();
    field.has_presence = f->has_presence();
    field.is_loose = builder->is_loose(f);
    l->all_fields.push_back(field);
}

static void list_message(lists *l, Builder *builder, const pb::Descriptor *m)
{
    protobuf_message message;

    message.name = m->full_name().c_str();
    message.is_map_entry = m->options().map_entry();
    message.first_field = static_cast<uint32_t>(l->all_fields.size());
    message.field_count = static_cast<uint32_t>(m->field_count());
    for (int i = 0; i < m->field_count(); i++) {
        list_field(l, builder, m->field(i));
    }
    message.first_nested = static_cast<uint32_t>(l->all_places.size());
    message.nested_count = static_cast<uint32_t>(m->nested_type_count());
    for (int i = 0; i < m->nested_type_count(); i++) {
        l->all_places.push_back(message_number(l, m->nested_type(i)));
    }
    l->all_messages.push_back(message);
}

/* Each message once, although they may contain each other: the list grows while it is walked. */
static void list_all(lists *l, Builder *builder, const pb::FileDescriptor *file)
{
    for (int i = 0; i < file->message_type_count(); i++) {
        message_number(l, file->message_type(i));
    }
    for (size_t i = 0; i < l->of_message.size(); i++) {
        list_message(l, builder, l->of_message[i]);
    }
    l->messages = l->all_messages.data();
    l->message_count = static_cast<uint32_t>(l->all_messages.size());
    l->top_count = static_cast<uint32_t>(file->message_type_count());
    l->enums = l->all_enums.data();
    l->enum_count = static_cast<uint32_t>(l->all_enums.size());
    l->fields = l->all_fields.data();
    l->values = l->all_values.data();
    l->places = l->all_places.data();
}

extern "C" struct protobuf_file *protobuf_file_read(const struct protobuf_text *texts, size_t n,
                                                    struct protobuf_fault *fault)
{
    auto l = std::make_unique<lists>();
    Faults faults(texts[0].name);
    Builder builder(&l->pool, &faults);
    bool ok = true;

    pb::SetLogHandler(nullptr); /* it would write to stderr what it also reports */

    for (size_t i = 0; i < n && ok; i++) {
        ok = builder.add(texts[i]);
    }
    const pb::FileDescriptor *file = ok ? builder.build(texts[0].name, 0) : nullptr;
    if (file == nullptr) {
        std::snprintf(fault->text, sizeof fault->text, "%s", faults.text().c_str());
        return nullptr;
    }
    list_all(l.get(), &builder, file);
    return l.release();
}

extern "C" struct protobuf_file *protobuf_file_free(struct protobuf_file *f)
{
    delete static_cast<lists *>(f);

    return nullptr;
}

extern "C" bool protobuf_file_is_descriptor(const char *p, size_t n)
{
    pb::FileDescriptorProto file;

    pb::SetLogHandler(nullptr);

    return n > 0 && file.ParseFromArray(p, static_cast<int>(n)) &&
           (file.message_type_size() > 0 || file.enum_type_size() > 0 || file.has_name());
}
