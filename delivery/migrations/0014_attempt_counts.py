import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """The index is built beside running traffic, for the log may be large; first, so that a build that fails
    leaves no tables behind."""

    atomic = False

    dependencies = [
        ('delivery', '0013_delivery_replays'),
        ('subscriptions', '0008_rate_limit'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='attempt',
            index=models.Index(fields=['created_at'], name='attempt_created'),
        ),
        migrations.AddField(
            model_name='worker',
            name='done',
            field=models.JSONField(help_text='Since it started: wake-ups of its requeuer, leases taken over.', null=True),
        ),
        migrations.CreateModel(
            name='AttemptCount',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('grain', models.CharField(choices=[('minute', 'minute'), ('hour', 'hour'), ('ever', 'ever')], max_length=8)),
                ('starts_at', models.DateTimeField()),
                ('measure', models.CharField(choices=[('request', 'request'), ('first', 'first')], max_length=8)),
                ('answer', models.CharField(blank=True, help_text='Such as 2xx, or why there was none.', max_length=32)),
                ('slot', models.PositiveSmallIntegerField(help_text='Of the duration: delivery/stats/slots.py.')),
                ('attempts', models.BigIntegerField()),
                ('delivered', models.BigIntegerField(help_text='Of them, those that ended their delivery well.')),
                ('given_up', models.BigIntegerField(help_text='Of them, those that failed, with no other planned after them.')),
                ('milliseconds', models.FloatField(help_text='Of all of them together.')),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='subscriptions.organization')),
                ('subscription', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='subscriptions.subscription')),
            ],
            options={
                'indexes': [models.Index(fields=['grain', 'starts_at'], name='attemptcount_old')],
                'constraints': [models.UniqueConstraint(fields=('grain', 'organization', 'subscription', 'starts_at', 'measure', 'answer', 'slot'), name='attemptcount_once', nulls_distinct=False)],
            },
        ),
        migrations.CreateModel(
            name='StatsMark',
            fields=[
                ('id', models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('counted_until', models.DateTimeField()),
            ],
        ),
    ]
