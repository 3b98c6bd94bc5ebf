from django.db import migrations

from webhooks_project import roles


class Migration(migrations.Migration):
    # Each step can be repeated, so nothing has to be undone where one fails.
    atomic = False

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("delivery", "0008_permissions"),
        ("runs", "0002_workflow_headers"),
        ("subscriptions", "0005_audit_entry"),
    ]

    operations = [migrations.RunPython(roles.make, migrations.RunPython.noop)]
